"""Backward passes: gradients of ``y`` [T, N] to those of ``x`` [T, N], chunk by chunk.

Only the inputs were kept: the membranes of a chunk are charged once more, bit by bit as before, into ``scratch``; then
back from the last step to the first. ``sums`` (G, 3) in double precision receive the sums for parameters, by group;
where none learns it has no rows, and nothing is summed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums
from nirbridge.neurons.fused.onehot import back_by_one_hat, back_by_slope, dot, sums_of_step
from nirbridge.neurons.fused.slopes import fill_slope
from nirbridge.neurons.fused.steps import (
    charge,
    fire_uniform,
    recharge_one_hot,
    recharge_uniform,
    settle_one_hot,
    settle_uniform,
)
from nirbridge.neurons.fused.surrogates import GIVEN, TRIANGLE

Array = NDArray[Any]


@compiled
def one_hot(
    x: Array, grad: Array, out: Array, v_init: Array, numbers: Array, limits: Array, units: Array, hard: bool,
    given: Array, rises: Array, kind: int, series: Array, sums: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """One-hot neuron; the fired lane is detached in the reset.

    g_u[t] = g_y[t] slope + g_v[t] a, a = 1 (soft) or 0 where a lane fired; g_v[t-1] = decay g_u[t];
    g_θ = -Σ g_y slope u/θ - Σ g_v level (soft alone); g_decay = Σ g_u[t] v[t-1]. ``scratch`` (T + 5, width).
    """
    steps, nowhere = x.shape[0], x.dtype.type(np.nan)
    learns = sums.shape[0] > 0
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        p, bounds, curve = numbers[group], limits[group], rises[group]
        ends = bounds[0] if hard else nowhere
        # Each a row of its own: a row of a slice of rows would be taken for strided, and get no SIMD.
        later, after, level = scratch[steps, :size], scratch[steps + 1, :size], scratch[steps + 2, :size]
        slope, before = scratch[steps + 3, :size], scratch[steps + 4, :size]
        before[:] = v_init[group]
        charge(x[0, first:last], before, scratch[0, :size], p[0], p[1])
        for t in range(1, steps):
            recharge_one_hot(
                x[t, first:last], scratch[t - 1, :size], scratch[t, :size], after, level, p, bounds, units, hard
            )
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            u, g_y, result = scratch[t, :size], grad[t, first:last], out[t, first:last]
            if kind == TRIANGLE and curve.shape[0] == 1 and not learns:
                back_by_one_hat(g_y, u, later, result, p[0], ends, curve[0])
            else:
                fill_slope(slope, u, given[t, first:last] if kind == GIVEN else u, curve, kind, series)
                back_by_slope(g_y, u, later, slope, result, p[0], ends)
            if learns:
                settle_one_hot(u, after, level, p, bounds, units, hard)
                by_level, by_reset = sums_of_step(g_y, u, later, slope, level, p[0], ends)
                sums[group, 0] += by_level
                sums[group, 1] += by_reset
                if t + 1 < steps:
                    sums[group, 2] += dot(later, after)
                if t == 0:
                    sums[group, 2] += dot(result, before)
            later = result
        if p[1] != 1:
            for t in range(steps):
                result = out[t, first:last]
                for i in range(size):
                    result[i] = p[1] * result[i]


@compiled
def _back_uniform(grad: Array, u: Array, later: Array, slope: Array, out: Array, q: Any, sends_values: bool) -> None:
    """g_u into ``out``; ``later`` is g_v."""
    if sends_values:
        for i in range(out.shape[0]):
            out[i] = later[i] + (grad[i] - later[i]) * q * slope[i]
    else:
        for i in range(out.shape[0]):
            out[i] = later[i] + (grad[i] - later[i] * q) * slope[i]


@compiled_sums
def _sums_of_uniform(
    grad: Array, u: Array, later: Array, slope: Array, level: Array, q: Any, sends_values: bool
) -> tuple[Any, Any]:
    """Σ g_z slope u and Σ g_value z."""
    zero = u.dtype.type(0)
    by_level = by_value = zero
    if sends_values:
        for i in range(u.shape[0]):
            through = grad[i] - later[i]
            by_level += through * q * slope[i] * u[i]
            by_value += through * level[i]
    else:
        for i in range(u.shape[0]):
            by_level += (grad[i] - later[i] * q) * slope[i] * u[i]
            by_value -= later[i] * level[i]
    return by_level, by_value


@compiled
def uniform(
    x: Array, grad: Array, out: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, sends_values: bool,
    given: Array, rises: Array, kind: int, series: Array, sums: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """Equal levels with the gradient through the reset, no leak.

    g_value = g_y - g_v (z sent: -g_v), g_z = g_value q (z sent: + g_y), g_u = g_v + g_z slope, g_v[t-1] = g_u;
    g_q = Σ g_value z - Σ g_z slope u/q. ``scratch`` (T + 4, width).
    """
    steps, one = x.shape[0], x.dtype.type(1)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep, q, curve = decay[group], quantum[group], rises[group]
        slope, later = scratch[steps, :size], scratch[steps + 1, :size]
        level, after = scratch[steps + 2, :size], scratch[steps + 3, :size]
        after[:] = v_init[group]
        charge(x[0, first:last], after, scratch[0, :size], keep, one)
        for t in range(1, steps):
            recharge_uniform(x[t, first:last], scratch[t - 1, :size], scratch[t, :size], keep, q, levels)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            u, g_y, result = scratch[t, :size], grad[t, first:last], out[t, first:last]
            fill_slope(slope, u, given[t, first:last] if kind == GIVEN else u, curve, kind, series)
            _back_uniform(g_y, u, later, slope, result, q, sends_values)
            if sums.shape[0] > 0:
                settle_uniform(u, after, level, q, levels)
                by_level, by_value = _sums_of_uniform(g_y, u, later, slope, level, q, sends_values)
                sums[group, 0] += by_level
                sums[group, 1] += by_value
            later = result


@compiled
def _back_straight(
    grad: Array, x: Array, before: Array, out: Array, decay: Any, low: Any, high: Any
) -> None:  # fmt: skip
    """g_u = g_y within low <= u <= high, else 0, into ``out``; u = decay v + x."""
    zero = x.dtype.type(0)
    for i in range(out.shape[0]):
        u, given = decay * before[i] + x[i], grad[i]
        out[i] = given if (u >= low) & (u <= high) else zero


@compiled
def _back_carried(
    grad: Array, x: Array, before: Array, later: Array, out: Array, decay: Any, low: Any, high: Any
) -> None:
    """g_u = g_y within low <= u <= high, else g_u of the next step, into ``out``."""
    for i in range(out.shape[0]):
        u, given, following = decay * before[i] + x[i], grad[i], later[i]
        out[i] = given if (u >= low) & (u <= high) else following


@compiled
def straight(
    x: Array, grad: Array, out: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, low: Array,
    high: Array, carries: bool, sums: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """Straight through within low <= u <= high: w = 1, else 0.

    g_u[t] = g_y w + g_v (1 - w) and g_v[t-1] = g_u[t] where ``carries``, else g_u[t] = g_y w;
    g_decay = Σ g_u[t] v[t-1]. ``scratch`` (T + 2, width): membranes before each step, ``sent``, ``later``.
    """
    steps = x.shape[0]
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep, q, bottom, top = decay[group], quantum[group], low[group], high[group]
        sent, later = scratch[steps, :size], scratch[steps + 1, :size]
        scratch[0, :size] = v_init[group]
        for t in range(steps - 1):
            fire_uniform(x[t, first:last], scratch[t, :size], scratch[t + 1, :size], sent, keep, q, levels, True)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            row, before, result = x[t, first:last], scratch[t, :size], out[t, first:last]
            if carries:
                _back_carried(grad[t, first:last], row, before, later, result, keep, bottom, top)
            else:
                _back_straight(grad[t, first:last], row, before, result, keep, bottom, top)
            if sums.shape[0] > 0 and (t > 0 or v_init[group] != 0):  # most neurons start at 0
                sums[group, 2] += dot(result, before)
            later = result
