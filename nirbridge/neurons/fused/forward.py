"""Forward passes: ``x`` [T, N] to ``y`` [T, N], and the membranes ``u`` after charging.

``u`` has T rows where the backward pass needs them, else one that is written over. ``v`` [N] enters as the first state
and leaves as the last. Parameters are laid out beside the chunks. Loops index slices from 0 and hold few arrays each:
else numba gives up SIMD. The order of operations is that of :mod:`nirbridge.neurons.dynamics`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled

Array = NDArray[Any]


@compiled
def one_hot(
    x: Array,
    v: Array,
    y: Array,
    u: Array,
    decay: Array,
    gain: Any,
    theta: Array,
    units: Array,
    at_least: bool,
    subtract: bool,
    v_reset: Any,
    chunks: Array,
) -> None:
    """u = decay v + gain x; y the highest unit with u > unit θ (or >=); v = u - y θ, or v_reset where one fired."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        keep = decay[offset : offset + size]
        limit = theta[offset : offset + size]
        for t in range(x.shape[0]):
            row = x[t, first:last]
            out = y[t, first:last]
            charged = u[t % u.shape[0], first:last]
            for i in range(size):
                charged[i] = keep[i] * state[i] + gain * row[i]
                out[i] = 0
            for s in range(units.shape[0]):
                unit = units[s]
                for i in range(size):
                    threshold = unit * limit[i]
                    fires = (charged[i] > threshold) | (at_least & (charged[i] == threshold))
                    out[i] = unit if fires else out[i]
            if subtract:
                for i in range(size):
                    state[i] = charged[i] - out[i] * limit[i]
            else:
                for i in range(size):
                    state[i] = v_reset if out[i] > 0 else charged[i]


@compiled
def uniform(
    x: Array,
    v: Array,
    y: Array,
    u: Array,
    decay: Array,
    quantum: Array,
    levels: Any,
    sends_values: bool,
    chunks: Array,
) -> None:
    """u = decay v + x; z the highest k in 0..levels with u >= k q (or 0); v = u - z q; y = z q, or z."""
    one = quantum.dtype.type(1)
    zero = quantum.dtype.type(0)
    buffer = np.empty(np.max(chunks[:, 1] - chunks[:, 0]), x.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        keep = decay[offset : offset + size]
        q = quantum[offset : offset + size]
        level = buffer[:size]
        for t in range(x.shape[0]):
            row = x[t, first:last]
            out = y[t, first:last]
            charged = u[t % u.shape[0], first:last]
            for i in range(size):
                charged[i] = keep[i] * state[i] + row[i]
            for i in range(size):
                k = np.floor(charged[i] / q[i])
                k = zero if k < zero else k
                k = levels if k > levels else k
                # The quotient rounds: put right the estimate, which is at most one off.
                k = k + one if charged[i] >= (k + one) * q[i] else k
                k = k - one if charged[i] < k * q[i] else k
                k = zero if k < zero else k
                level[i] = levels if k > levels else k
            for i in range(size):
                value = level[i] * q[i]
                out[i] = value if sends_values else level[i]
                state[i] = charged[i] - value
