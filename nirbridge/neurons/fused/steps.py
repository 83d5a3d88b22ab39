"""One step of one run of neurons, forward: the innermost loops.

Every array is a row of one chunk; parameters are numbers, since a chunk's neurons share them. A loop holds few arrays
and stores into rows that it does not read: else numba gives up SIMD. The order of operations is that of
:mod:`nirbridge.neurons.dynamics`, so that the bits are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled

Array = NDArray[Any]
LANES_AT_ONCE = 4


@compiled
def charge(x: Array, before: Array, u: Array, decay: Any, gain: Any) -> None:
    """u = decay v + gain x."""
    for i in range(u.shape[0]):
        u[i] = decay * before[i] + gain * x[i]


@compiled
def fire_four(
    x: Array, before: Array, after: Array, y: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
    """Four lanes, never falling: y = the highest unit with u >= its limit, else 0; v = u - y θ, or v_reset.

    ``p``: decay, gain, θ, v_reset.
    """
    decay, gain, theta, v_reset = p[0], p[1], p[2], p[3]
    l0, l1, l2, l3 = limits[0], limits[1], limits[2], limits[3]
    w0, w1, w2, w3 = units[0], units[1], units[2], units[3]
    zero = x.dtype.type(0)
    if hard:
        for i in range(y.shape[0]):
            u = decay * before[i] + gain * x[i]
            level = w0 if u >= l0 else zero
            level = w1 if u >= l1 else level
            level = w2 if u >= l2 else level
            level = w3 if u >= l3 else level
            y[i] = level
            after[i] = v_reset if level > zero else u
    else:
        for i in range(y.shape[0]):
            u = decay * before[i] + gain * x[i]
            level = w0 if u >= l0 else zero
            level = w1 if u >= l1 else level
            level = w2 if u >= l2 else level
            level = w3 if u >= l3 else level
            y[i] = level
            after[i] = u - level * theta


@compiled
def fire_many(
    x: Array, before: Array, after: Array, y: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
    """Any number of lanes, lane by lane; else as :func:`fire_four`."""
    decay, gain, theta, v_reset = p[0], p[1], p[2], p[3]
    zero = x.dtype.type(0)
    for i in range(y.shape[0]):
        y[i] = zero
        after[i] = decay * before[i] + gain * x[i]
    for s in range(units.shape[0]):
        limit, unit = limits[s], units[s]
        for i in range(y.shape[0]):
            y[i] = unit if after[i] >= limit else y[i]
    if hard:
        for i in range(y.shape[0]):
            after[i] = v_reset if y[i] > zero else after[i]
    else:
        for i in range(y.shape[0]):
            after[i] = after[i] - y[i] * theta


@compiled
def fire_uniform(
    x: Array, before: Array, after: Array, y: Array, decay: Any, q: Any, levels: Any, sends_values: bool
) -> None:
    """u = decay v + x; z the highest k in 0..levels with u >= k q (or 0); v = u - z q; y = z q, or z."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    for i in range(y.shape[0]):
        u = decay * before[i] + x[i]
        k = np.floor(u / q)
        k = zero if k < zero else k
        k = levels if k > levels else k
        # The quotient rounds: put right the estimate, which is at most one off.
        k = k + one if u >= (k + one) * q else k
        k = k - one if u < k * q else k
        k = zero if k < zero else k
        k = levels if k > levels else k
        value = k * q
        y[i] = value if sends_values else k
        after[i] = u - value
