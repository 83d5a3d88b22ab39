"""What works on windows and is kept by hand, as functions of one [W, B, *shape] window of float64 or int64."""

from __future__ import annotations

import numpy as np

from nirbridge.ir import TemporalMix
from nirbridge.primitives import FirstSpikePool2d
from nirbridge.runtime import Array
from nirbridge_reference.linear import windows


def temporal_mix(node: TemporalMix, x: Array) -> Array:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    weight = node.weight.astype(x.dtype, copy=False)
    y = np.zeros((len(weight), *x.shape[1:]), x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j].reshape(-1, *(1,) * frame.ndim) * frame
    return y


def first_spike_pool(node: FirstSpikePool2d, x: Array) -> Array:
    """A step at which some of those in the race spike ends the race for the others under the spatial window."""
    racing, wins = np.ones((), bool), []
    for frame in x:
        spikes = racing & (windows(node, frame, 0.0) != 0)
        wins.append(spikes.any(axis=(-2, -1)))
        racing = spikes | (racing & ~wins[-1][..., None, None])
    return np.stack(wins).astype(x.dtype)
