"""One step of one run of neurons, forward: the innermost loops.

Every array is a row of one chunk; parameters are numbers, since a chunk's neurons share them. A loop holds few arrays
and stores into rows that it does not read: else numba gives up SIMD. The order of operations is that of
:mod:`nirbridge.neurons.dynamics`, so that the bits are the same.

``fire_*`` go from the membranes after the last reset to levels and membranes after this one. ``recharge_*``, for the
way back, go from the membranes before the last reset to those before this one: one row to keep for each step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled

Array = NDArray[Any]


@compiled
def charge(x: Array, before: Array, u: Array, decay: Any, gain: Any) -> None:
    """u = decay v + gain x."""
    for i in range(u.shape[0]):
        u[i] = decay * before[i] + gain * x[i]


@compiled
def fire_one_hot(
    x: Array, before: Array, after: Array, y: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
    """y = the highest unit with u >= its limit, else 0; v = u - y θ, or v_reset; u = decay v + gain x.

    ``p``: decay, gain, θ, v_reset.
    """
    if units.shape[0] == 1:
        _fire_one(x, before, after, y, p, limits[0], units[0], hard)
    elif units.shape[0] == 4:
        _fire_four(x, before, after, y, p, limits, units, hard)
    else:
        _fire_many(x, before, after, y, p, limits, units, hard)


@compiled
def recharge_one_hot(
    x: Array, before: Array, u: Array, after: Array, level: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
    """u = decay v + gain x, where v is what a reset leaves of ``before``; ``after`` and ``level`` are written over."""
    if units.shape[0] == 1:
        _recharge_one(x, before, u, p, limits[0], units[0], hard)
    elif units.shape[0] == 4:
        _recharge_four(x, before, u, p, limits, units, hard)
    else:
        settle_one_hot(before, after, level, p, limits, units, hard)
        charge(x, after, u, p[0], p[1])


@compiled
def settle_one_hot(u: Array, after: Array, level: Array, p: Array, limits: Array, units: Array, hard: bool) -> None:
    """The level of a membrane, and what a reset leaves of it."""
    if units.shape[0] == 4:
        _levels_of_four(u, level, limits, units)
    else:
        _levels_of_many(u, level, limits, units)
    theta, v_reset, zero = p[2], p[3], u.dtype.type(0)
    if hard:
        for i in range(u.shape[0]):
            kept = u[i]
            after[i] = v_reset if level[i] > zero else kept
    else:
        for i in range(u.shape[0]):
            after[i] = u[i] - level[i] * theta


@compiled
def fire_uniform(
    x: Array, before: Array, after: Array, y: Array, decay: Any, q: Any, levels: Any, sends_values: bool
) -> None:
    """u = decay v + x; z the highest k in 0..levels with u >= k q (or 0); v = u - z q; y = z q, or z."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    per_quantum = one / q
    for i in range(y.shape[0]):
        u = decay * before[i] + x[i]
        k = _uniform_level(u, q, per_quantum, levels, one, zero)
        value = k * q
        y[i] = value if sends_values else k
        after[i] = u - value


@compiled
def recharge_uniform(x: Array, before: Array, u: Array, decay: Any, q: Any, levels: Any) -> None:
    """u = decay v + x, where v is what a reset leaves of ``before``."""
    one, zero = x.dtype.type(1), x.dtype.type(0)
    per_quantum = one / q
    for i in range(u.shape[0]):
        last = before[i]
        u[i] = decay * (last - _uniform_level(last, q, per_quantum, levels, one, zero) * q) + x[i]


@compiled
def settle_uniform(u: Array, after: Array, level: Array, q: Any, levels: Any) -> None:
    """The level of a membrane, and what a reset leaves of it."""
    one, zero = u.dtype.type(1), u.dtype.type(0)
    per_quantum = one / q
    for i in range(u.shape[0]):
        k = _uniform_level(u[i], q, per_quantum, levels, one, zero)
        level[i] = k
        after[i] = u[i] - k * q


@compiled
def _uniform_level(u: Any, q: Any, per_quantum: Any, levels: Any, one: Any, zero: Any) -> Any:
    """The highest k in 0..levels with k = 0 or u >= k q; ``per_quantum`` is 1/q; 1 and 0 come in the data's type."""
    k = np.floor(u * per_quantum)
    # The product rounds: put right the estimate, which is at most one off up to 65536 levels.
    k = k + one if u >= (k + one) * q else k
    k = k - one if u < k * q else k
    k = zero if k < zero else k
    return levels if k > levels else k


@compiled
def _fire_one(x: Array, before: Array, after: Array, y: Array, p: Array, limit: Any, unit: Any, hard: bool) -> None:
    decay, gain, theta, v_reset = p[0], p[1], p[2], p[3]
    zero = x.dtype.type(0)
    drop = unit * theta
    if hard:
        for i in range(y.shape[0]):
            u = decay * before[i] + gain * x[i]
            y[i] = unit if u >= limit else zero
            after[i] = v_reset if u >= limit else u
    else:
        for i in range(y.shape[0]):
            u = decay * before[i] + gain * x[i]
            y[i] = unit if u >= limit else zero
            after[i] = u - (drop if u >= limit else zero)


@compiled
def _recharge_one(x: Array, before: Array, u: Array, p: Array, limit: Any, unit: Any, hard: bool) -> None:
    decay, gain, theta, v_reset = p[0], p[1], p[2], p[3]
    zero = x.dtype.type(0)
    drop = unit * theta
    if hard:
        for i in range(u.shape[0]):
            last = before[i]
            u[i] = decay * (v_reset if last >= limit else last) + gain * x[i]
    else:
        for i in range(u.shape[0]):
            last = before[i]
            u[i] = decay * (last - (drop if last >= limit else zero)) + gain * x[i]


@compiled
def _fire_four(
    x: Array, before: Array, after: Array, y: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
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
            y[i] = w3 if u >= l3 else level
            after[i] = v_reset if u >= l0 else u
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
def _recharge_four(x: Array, before: Array, u: Array, p: Array, limits: Array, units: Array, hard: bool) -> None:
    decay, gain, theta, v_reset = p[0], p[1], p[2], p[3]
    l0, l1, l2, l3 = limits[0], limits[1], limits[2], limits[3]
    d0, d1, d2, d3 = units[0] * theta, units[1] * theta, units[2] * theta, units[3] * theta
    zero = x.dtype.type(0)
    if hard:
        for i in range(u.shape[0]):
            last = before[i]
            u[i] = decay * (v_reset if last >= l0 else last) + gain * x[i]
    else:
        for i in range(u.shape[0]):
            last = before[i]
            drop = d0 if last >= l0 else zero
            drop = d1 if last >= l1 else drop
            drop = d2 if last >= l2 else drop
            drop = d3 if last >= l3 else drop
            u[i] = decay * (last - drop) + gain * x[i]


@compiled
def _fire_many(
    x: Array, before: Array, after: Array, y: Array, p: Array, limits: Array, units: Array, hard: bool
) -> None:
    charge(x, before, after, p[0], p[1])
    _levels_of_many(after, y, limits, units)
    zero = x.dtype.type(0)
    if hard:
        for i in range(y.shape[0]):
            kept = after[i]
            after[i] = p[3] if y[i] > zero else kept
    else:
        for i in range(y.shape[0]):
            after[i] = after[i] - y[i] * p[2]


@compiled
def _levels_of_four(u: Array, level: Array, limits: Array, units: Array) -> None:
    l0, l1, l2, l3 = limits[0], limits[1], limits[2], limits[3]
    w0, w1, w2, w3 = units[0], units[1], units[2], units[3]
    zero = u.dtype.type(0)
    for i in range(u.shape[0]):
        found = w0 if u[i] >= l0 else zero
        found = w1 if u[i] >= l1 else found
        found = w2 if u[i] >= l2 else found
        level[i] = w3 if u[i] >= l3 else found


@compiled
def _levels_of_many(u: Array, level: Array, limits: Array, units: Array) -> None:
    zero, limit, unit = u.dtype.type(0), limits[0], units[0]
    for i in range(u.shape[0]):
        level[i] = unit if u[i] >= limit else zero
    for s in range(1, units.shape[0]):
        limit, unit = limits[s], units[s]
        for i in range(u.shape[0]):
            found = level[i]
            level[i] = unit if u[i] >= limit else found
