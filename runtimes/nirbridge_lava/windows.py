"""What takes whole windows of steps, as functions of one (W, samples, n) window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nirbridge.runtime import Array
from nirbridge_lava.kernels import Pool, under


def temporal_mix(weight: Array, x: Array) -> Array:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    y = np.zeros((len(weight), *x.shape[1:]), dtype=x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j, None, None] * frame
    return y


def run_window(run: Callable[[Array], Any], x: Array) -> tuple[Array, Any]:
    """What the primitive itself says of the frames of a window."""
    sent, membranes = run(x)
    return np.stack(sent).astype(x.dtype), () if membranes is None else membranes


def first_spike_pool(p: Pool, x: Array) -> Array:
    """A step at which some of those in the race spike ends the race for the others under the spatial window."""
    racing, wins = np.ones((), bool), []
    for frame in x:
        spikes = racing & (under(p, frame) != 0)
        wins.append(spikes.any(axis=(-2, -1)))
        racing = spikes | (racing & ~wins[-1][..., None, None])
    return np.stack(wins).reshape(*x.shape[:-1], -1).astype(x.dtype)
