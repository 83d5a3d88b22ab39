"""One step of neurons, forward: what happens to one of them, and the loops over a row of them.

Rows are those of one chunk, whose neurons share the parameters, numbers here. A loop stores into rows that it does not
read, else numba gives up SIMD. The order of operations is that of :mod:`nirbridge.neurons.dynamics`, so that the bits
are the same.

``fire_*`` go from the membranes after the last reset to levels and membranes after this one. ``recharge_*``, for the
way back, go from the membranes before the last reset to those before this one: one row to keep for each step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.machine_code import loop
from nirbridge.neurons.fused.bits import power_below
from nirbridge.neurons.fused.structs import Lanes, Levels

Array = NDArray[Any]


@loop
def charge(x: Array, before: Array, u: Array, decay: Any, gain: Any) -> None:
    """u = decay v + gain x."""
    for i in range(u.shape[0]):
        u[i] = decay * before[i] + gain * x[i]


@loop
def passes(u: Any, weight: Any, theta: Any, lanes: Lanes) -> Any:
    """Whether the lane of this weight, or a higher one, fires."""
    return u > weight * theta if lanes.strict else u >= weight * theta


@loop
def less_than_one_over(quantum: Any) -> Any:
    """By so little that a level estimated with it is never too high and, up to 65536 levels, at most one too low."""
    return type(quantum)(1 - 2.0**-20) / quantum


@loop
def one_hot_level(u: Any, theta: Any, per_theta: Any, lanes: Lanes) -> Any:
    """The weight of the highest lane that fires, else 0; ``per_theta`` is :func:`less_than_one_over` θ."""
    zero = type(u)(0)
    weight = power_below(u * per_theta)
    following = weight + weight
    weight = following if passes(u, following, theta, lanes) else weight
    weight = weight if weight < lanes.highest else lanes.highest
    return weight if passes(u, lanes.lowest, theta, lanes) else zero


@loop
def after_one_hot(u: Any, level: Any, theta: Any, lanes: Lanes) -> Any:
    """What a reset leaves of a membrane."""
    if lanes.hard:
        return lanes.v_reset if level > type(u)(0) else u
    return u - level * theta


@loop
def fire_one_hot(x: Array, before: Array, after: Array, y: Array, decay: Any, theta: Any, lanes: Lanes) -> None:
    """u = decay v + gain x; y its level; v what a reset leaves."""
    per_theta = less_than_one_over(theta)
    for i in range(y.shape[0]):
        u = decay * before[i] + lanes.gain * x[i]
        level = one_hot_level(u, theta, per_theta, lanes)
        y[i] = level
        after[i] = after_one_hot(u, level, theta, lanes)


@loop
def recharge_one_hot(x: Array, before: Array, u: Array, decay: Any, theta: Any, lanes: Lanes) -> None:
    """u = decay v + gain x, where v is what a reset leaves of ``before``."""
    per_theta = less_than_one_over(theta)
    for i in range(u.shape[0]):
        level = one_hot_level(before[i], theta, per_theta, lanes)
        u[i] = decay * after_one_hot(before[i], level, theta, lanes) + lanes.gain * x[i]


@loop
def uniform_level(u: Any, q: Any, per_quantum: Any, levels: Levels) -> Any:
    """The highest k in 0..N with k = 0 or u >= k q; ``per_quantum`` is :func:`less_than_one_over` q."""
    zero = type(u)(0)
    k = np.floor(u * per_quantum)
    following = k + type(u)(1)
    k = following if u >= following * q else k
    k = zero if k < zero else k
    return levels.count if k > levels.count else k


@loop
def settle_uniform(u: Any, q: Any, per_quantum: Any, levels: Levels) -> Any:
    """What a reset leaves of a membrane."""
    return u - uniform_level(u, q, per_quantum, levels) * q


@loop
def fire_uniform(x: Array, before: Array, after: Array, y: Array, decay: Any, q: Any, levels: Levels) -> None:
    """u = decay v + x; z its level; v = u - z q; y = z q, or z."""
    per_quantum = less_than_one_over(q)
    for i in range(y.shape[0]):
        u = decay * before[i] + x[i]
        k = uniform_level(u, q, per_quantum, levels)
        y[i] = k * q if levels.sends_values else k
        after[i] = u - k * q


@loop
def recharge_uniform(x: Array, before: Array, u: Array, decay: Any, q: Any, levels: Levels) -> None:
    """u = decay v + x, where v is what a reset leaves of ``before``."""
    per_quantum = less_than_one_over(q)
    for i in range(u.shape[0]):
        u[i] = decay * settle_uniform(before[i], q, per_quantum, levels) + x[i]
