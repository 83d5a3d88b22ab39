"""Backward passes: gradients of ``y`` [T, N] to those of ``x`` [T, N], chunk by chunk.

Only the inputs were kept: the membranes of a chunk are charged once more, bit by bit as before, into rows of its own;
then back from the last step to the first. ``sums`` (G, ...) in double precision receive the sums for parameters, by
group; where none learns it has no rows, and nothing is summed.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.machine_code import loop, summing_loop
from nirbridge.neurons.fused.rows import dot, rows_of_chunks
from nirbridge.neurons.fused.slopes import fill_slope
from nirbridge.neurons.fused.steps import (
    after_one_hot,
    charge,
    less_than_one_over,
    one_hot_level,
    passes,
    recharge_one_hot,
    recharge_uniform,
    settle_uniform,
    uniform_level,
)
from nirbridge.neurons.fused.structs import Curve, Lanes, Levels, Neurons, Window

Array = NDArray[Any]


@loop
def _back_one_hot(
    grad: Array, u: Array, later: Array, slope: Array, g_u: Array, decay: Any, theta: Any, lanes: Lanes
) -> None:
    """g_u = g_y slope + g_v, g_v = decay g_u of the next step (``later``), or 0 where a hard reset cut it off."""
    zero = u.dtype.type(0)
    for i in range(g_u.shape[0]):
        carried = zero if lanes.hard & passes(u[i], lanes.lowest, theta, lanes) else decay * later[i]
        g_u[i] = grad[i] * slope[i] + carried


@summing_loop
def _sums_of_one_hot(
    grad: Array, u: Array, later: Array, slope: Array, decay: Any, theta: Any, lanes: Lanes
) -> tuple[Any, Any, Any]:
    """Σ g_y slope u, Σ g_v level where the reset is soft, and Σ later v."""
    zero, per_theta = u.dtype.type(0), less_than_one_over(theta)
    by_level = by_reset = by_decay = zero
    for i in range(u.shape[0]):
        level = one_hot_level(u[i], theta, per_theta, lanes)
        by_level += grad[i] * slope[i] * u[i]
        by_reset += zero if lanes.hard else decay * later[i] * level
        by_decay += later[i] * after_one_hot(u[i], level, theta, lanes)
    return by_level, by_reset, by_decay


@loop
def one_hot(
    x: Array, grad: Array, out: Array, neurons: Neurons, lanes: Lanes, curve: Curve, sums: Array, chunks: Array
) -> None:
    """One-hot neuron; the fired lane is detached in the reset.

    g_u[t] = g_y[t] slope + g_v[t] a, a = 1 (soft) or 0 where a lane fired; g_v[t-1] = decay g_u[t];
    g_θ = -Σ g_y slope u/θ - Σ g_v level (soft alone); g_decay = Σ g_u[t] v[t-1].
    """
    steps = x.shape[0]
    rows = rows_of_chunks(x, steps + 3, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay, theta = last - first, neurons.decay[group], neurons.quantum[group]
        # Each a row of its own: a row of a slice of rows would be taken for strided, and get no SIMD.
        before, later, slope = rows[steps, :size], rows[steps + 1, :size], rows[steps + 2, :size]
        before[:] = neurons.v_init[group]
        charge(x[0, first:last], before, rows[0, :size], decay, lanes.gain)
        for t in range(1, steps):
            recharge_one_hot(x[t, first:last], rows[t - 1, :size], rows[t, :size], decay, theta, lanes)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            u, g_y, g_u = rows[t, :size], grad[t, first:last], out[t, first:last]
            fill_slope(slope, u, curve, group, t, first)
            _back_one_hot(g_y, u, later, slope, g_u, decay, theta, lanes)
            if sums.shape[0] > 0:
                by_level, by_reset, by_decay = _sums_of_one_hot(g_y, u, later, slope, decay, theta, lanes)
                sums[group, 0] += by_level
                sums[group, 1] += by_reset
                sums[group, 2] += by_decay
                if t == 0:
                    sums[group, 2] += dot(g_u, before)
            later = g_u
        if lanes.gain != 1:
            for t in range(steps):
                g_x = out[t, first:last]
                for i in range(size):
                    g_x[i] = lanes.gain * g_x[i]


@loop
def _back_uniform(grad: Array, u: Array, later: Array, slope: Array, g_u: Array, q: Any, levels: Levels) -> None:
    """g_u = g_v + g_z slope; ``later`` is g_v."""
    for i in range(g_u.shape[0]):
        through = (grad[i] - later[i]) * q if levels.sends_values else grad[i] - later[i] * q
        g_u[i] = later[i] + through * slope[i]


@summing_loop
def _sums_of_uniform(grad: Array, u: Array, later: Array, slope: Array, q: Any, levels: Levels) -> tuple[Any, Any]:
    """Σ g_z slope u and Σ g_value z."""
    zero, per_quantum = u.dtype.type(0), less_than_one_over(q)
    by_level = by_value = zero
    for i in range(u.shape[0]):
        through = (grad[i] - later[i]) * q if levels.sends_values else grad[i] - later[i] * q
        level = uniform_level(u[i], q, per_quantum, levels)
        by_level += through * slope[i] * u[i]
        by_value += (grad[i] - later[i] if levels.sends_values else -later[i]) * level
    return by_level, by_value


@loop
def uniform(
    x: Array, grad: Array, out: Array, neurons: Neurons, levels: Levels, curve: Curve, sums: Array, chunks: Array
) -> None:
    """Equal levels with the gradient through the reset, no leak.

    g_value = g_y - g_v (z sent: -g_v), g_z = g_value q (z sent: + g_y), g_u = g_v + g_z slope, g_v[t-1] = g_u;
    g_q = Σ g_value z - Σ g_z slope u/q.
    """
    steps, one = x.shape[0], x.dtype.type(1)
    rows = rows_of_chunks(x, steps + 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay, q = last - first, neurons.decay[group], neurons.quantum[group]
        slope, later = rows[steps, :size], rows[steps + 1, :size]
        later[:] = neurons.v_init[group]
        charge(x[0, first:last], later, rows[0, :size], decay, one)
        for t in range(1, steps):
            recharge_uniform(x[t, first:last], rows[t - 1, :size], rows[t, :size], decay, q, levels)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            u, g_y, g_u = rows[t, :size], grad[t, first:last], out[t, first:last]
            fill_slope(slope, u, curve, group, t, first)
            _back_uniform(g_y, u, later, slope, g_u, q, levels)
            if sums.shape[0] > 0:
                by_level, by_value = _sums_of_uniform(g_y, u, later, slope, q, levels)
                sums[group, 0] += by_level
                sums[group, 1] += by_value
            later = g_u


@loop
def _back_straight(grad: Array, u: Array, later: Array, g_u: Array, low: Any, high: Any, carries: bool) -> None:
    """g_u = g_y within low <= u <= high, else 0, or g_u of the next step where it ``carries``."""
    zero = u.dtype.type(0)
    for i in range(g_u.shape[0]):
        given, elsewhere = grad[i], later[i] if carries else zero
        g_u[i] = given if (u[i] >= low) & (u[i] <= high) else elsewhere


@summing_loop
def _sum_of_decay(g_u: Array, last: Array, q: Any, levels: Levels) -> Any:
    """Σ g_u v, where v is what a reset left of ``last``, the membrane one step before."""
    total, per_quantum = g_u.dtype.type(0), less_than_one_over(q)
    for i in range(g_u.shape[0]):
        total += g_u[i] * settle_uniform(last[i], q, per_quantum, levels)
    return total


@loop
def straight(
    x: Array, grad: Array, out: Array, neurons: Neurons, levels: Levels, window: Window, sums: Array, chunks: Array
) -> None:
    """Straight through within low <= u <= high: w = 1, else 0.

    g_u[t] = g_y w + g_v (1 - w) and g_v[t-1] = g_u[t] where the window carries, else g_u[t] = g_y w;
    ``sums`` (G, 1): g_decay = Σ g_u[t] v[t-1].
    """
    steps, one = x.shape[0], x.dtype.type(1)
    rows = rows_of_chunks(x, steps + 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay, q = last - first, neurons.decay[group], neurons.quantum[group]
        before, later = rows[steps, :size], rows[steps + 1, :size]
        before[:] = neurons.v_init[group]
        charge(x[0, first:last], before, rows[0, :size], decay, one)
        for t in range(1, steps):
            recharge_uniform(x[t, first:last], rows[t - 1, :size], rows[t, :size], decay, q, levels)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            u, g_u = rows[t, :size], out[t, first:last]
            _back_straight(grad[t, first:last], u, later, g_u, window.low[group], window.high[group], window.carries)
            if sums.shape[0] > 0:
                sums[group, 0] += _sum_of_decay(g_u, rows[t - 1, :size], q, levels) if t > 0 else dot(g_u, before)
            later = g_u
