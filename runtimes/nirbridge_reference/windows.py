"""What works on windows and is kept by hand, as functions of one [W, B, *shape] window of float64 or int64."""

from __future__ import annotations

import numpy as np

from nirbridge.ir import TemporalMix
from nirbridge.primitives import FirstSpikePool2d
from nirbridge.runtime import Array
from nirbridge_reference.linear import windows


def temporal_mix(node: TemporalMix, x: Array) -> Array:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    weight = node.weight.astype(x.dtype)
    y = np.zeros((len(weight), *x.shape[1:]), x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j].reshape(-1, *(1,) * frame.ndim) * frame
    return y


def first_spike_pool(node: FirstSpikePool2d, x: Array) -> Array:
    """1 at the first step at which any input of the spatial window spikes, 0 after it."""
    steps, batch = x.shape[:2]
    any_spike = windows(node, x.reshape(steps * batch, *x.shape[2:]), 0.0).any(axis=(-2, -1))
    any_spike = any_spike.reshape(steps, batch, *any_spike.shape[1:])
    before = np.cumsum(any_spike, axis=0) - any_spike
    return (any_spike & (before == 0)).astype(x.dtype)
