"""Backward passes: gradients of ``y`` [T, N] to those of ``x`` [T, N], chunk by chunk.

Only the inputs were kept: a chunk is run forward once more, bit by bit as before, into ``scratch``; then back from
the last step to the first. ``sums`` (G, 3) in double precision receive the sums for parameters, by group.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_sums
from nirbridge.neurons.fused.mixing import add_weight_gradients, combine
from nirbridge.neurons.fused.onehot import back_by_four_hats, back_by_one_hat, back_by_slope
from nirbridge.neurons.fused.slopes import fill_slope
from nirbridge.neurons.fused.steps import charge, fire_four, fire_many, fire_uniform
from nirbridge.neurons.fused.surrogates import GIVEN, TRIANGLE

Array = NDArray[Any]


@compiled
def one_hot(
    x: Array, grad: Array, out: Array, v_init: Array, numbers: Array, limits: Array, units: Array, hard: bool,
    given: Array, rises: Array, kind: int, shape: Array, series: Array, sums: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """One-hot neuron; the fired lane is detached in the reset.

    g_u[t] = g_y[t] slope + g_v[t] a, a = 1 (soft) or 0 where a lane fired; g_v[t-1] = decay g_u[t];
    g_θ = -Σ g_y slope u/θ - Σ g_v level (soft alone); g_decay = Σ g_u[t] v[t-1]. ``scratch`` (2 T + 4, width).
    """
    steps = x.shape[0]
    ends = x.dtype.type(hard)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        p, bounds, curve = numbers[group], limits[group], rises[group]
        scratch[0, :size] = v_init[group]
        for t in range(steps):
            row, before, after = x[t, first:last], scratch[t, :size], scratch[t + 1, :size]
            if units.shape[0] == 4:
                fire_four(row, before, after, scratch[steps + 1 + t, :size], p, bounds, units, hard)
            else:
                fire_many(row, before, after, scratch[steps + 1 + t, :size], p, bounds, units, hard)
        u, slope, later = scratch[2 * steps + 1, :size], scratch[2 * steps + 2, :size], scratch[2 * steps + 3, :size]
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            before, level = scratch[t, :size], scratch[steps + 1 + t, :size]
            row, g_y, result = x[t, first:last], grad[t, first:last], out[t, first:last]
            if kind == TRIANGLE and curve.shape[0] == 1:
                found = back_by_one_hat(g_y, row, before, level, later, result, p, ends, curve, shape[0], shape[1])
            elif kind == TRIANGLE and curve.shape[0] == 4:
                found = back_by_four_hats(g_y, row, before, level, later, result, p, ends, curve, shape[0], shape[1])
            else:
                charge(row, before, u, p[0], p[1])
                fill_slope(slope, u, given[t, first:last] if kind == GIVEN else u, curve, kind, shape, series)
                found = back_by_slope(g_y, u, before, level, later, slope, result, p[0], ends)
            sums[group, 0] += found[0]
            sums[group, 1] += found[1]
            sums[group, 2] += found[2]
            later = result
        if p[1] != 1:
            for t in range(steps):
                result = out[t, first:last]
                for i in range(size):
                    result[i] = p[1] * result[i]


@compiled_sums
def _back_uniform(
    grad: Array, u: Array, level: Array, later: Array, slope: Array, out: Array, q: Any, sends_values: bool
) -> tuple[Any, Any]:
    """g_u into ``out``; gives Σ g_z slope u and Σ g_value z; ``later`` is g_v."""
    zero = u.dtype.type(0)
    by_level = by_value = zero
    if sends_values:
        for i in range(out.shape[0]):
            through = grad[i] - later[i]
            rise = through * q * slope[i]
            by_level += rise * u[i]
            by_value += through * level[i]
            out[i] = later[i] + rise
    else:
        for i in range(out.shape[0]):
            rise = (grad[i] - later[i] * q) * slope[i]
            by_level += rise * u[i]
            by_value -= later[i] * level[i]
            out[i] = later[i] + rise
    return by_level, by_value


@compiled
def uniform(
    x: Array, grad: Array, out: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, sends_values: bool,
    given: Array, rises: Array, kind: int, shape: Array, series: Array, sums: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """Equal levels with the gradient through the reset, no leak.

    g_value = g_y - g_v (z sent: -g_v), g_z = g_value q (z sent: + g_y), g_u = g_v + g_z slope, g_v[t-1] = g_u;
    g_q = Σ g_value z - Σ g_z slope u/q. ``scratch`` (2 T + 4, width).
    """
    steps = x.shape[0]
    one = x.dtype.type(1)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep, q, curve = decay[group], quantum[group], rises[group]
        scratch[0, :size] = v_init[group]
        for t in range(steps):
            before, after = scratch[t, :size], scratch[t + 1, :size]
            fire_uniform(x[t, first:last], before, after, scratch[steps + 1 + t, :size], keep, q, levels, False)
        u, slope, later = scratch[2 * steps + 1, :size], scratch[2 * steps + 2, :size], scratch[2 * steps + 3, :size]
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            charge(x[t, first:last], scratch[t, :size], u, keep, one)
            fill_slope(slope, u, given[t, first:last] if kind == GIVEN else u, curve, kind, shape, series)
            result = out[t, first:last]
            by_level, by_value = _back_uniform(
                grad[t, first:last], u, scratch[steps + 1 + t, :size], later, slope, result, q, sends_values
            )
            sums[group, 0] += by_level
            sums[group, 1] += by_value
            later = result


@compiled_sums
def _back_straight(
    grad: Array, u: Array, before: Array, later: Array, out: Array, low: Any, high: Any, carries: bool
) -> Any:
    """g_u into ``out``; gives Σ g_u v; ``later`` is g_u of the next step."""
    zero = u.dtype.type(0)
    by_decay = zero
    for i in range(out.shape[0]):
        inside = (u[i] >= low) & (u[i] <= high)
        g = grad[i] if inside else (later[i] if carries else zero)
        by_decay += g * before[i]
        out[i] = g
    return by_decay


@compiled
def straight(
    x: Array, grad: Array, out: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, low: Array,
    high: Array, carries: bool, omega: Array, across: Array, in_omega: Array, sums: Array, scratch: Array,
    chunks: Array,
) -> None:  # fmt: skip
    """Straight through within low <= u <= high: w = 1, else 0.

    g_u[t] = g_y w + g_v (1 - w) and g_v[t-1] = g_u[t] where ``carries``, else g_u[t] = g_y w;
    g_decay = Σ g_u[t] v[t-1]. With ``omega``, of which ``across`` is the transpose: g_x[j] = Σ_t omega[t, j] g_u[t],
    and ``in_omega`` receives Σ g_u[t] x[j]. ``scratch`` (3 T + 4, width).
    """
    steps = x.shape[0]
    one = x.dtype.type(1)
    mixed = omega.shape[0] > 0
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep, q = decay[group], quantum[group]
        scratch[0, :size] = v_init[group]
        sent, u, later = scratch[steps + 1, :size], scratch[steps + 2, :size], scratch[steps + 3, :size]
        if mixed:
            combine(omega, x, first, scratch, steps + 4, 0, size)
        for t in range(steps):
            row = scratch[steps + 4 + t, :size] if mixed else x[t, first:last]
            fire_uniform(row, scratch[t, :size], scratch[t + 1, :size], sent, keep, q, levels, True)
        later[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            row = scratch[steps + 4 + t, :size] if mixed else x[t, first:last]
            result = scratch[2 * steps + 4 + t, :size] if mixed else out[t, first:last]
            charge(row, scratch[t, :size], u, keep, one)
            by_decay = _back_straight(
                grad[t, first:last], u, scratch[t, :size], later, result, low[group], high[group], carries
            )
            sums[group, 2] += by_decay
            later = result
        if mixed:
            add_weight_gradients(in_omega, scratch, 2 * steps + 4, x, first, size)
            combine(across, scratch[2 * steps + 4 : 3 * steps + 4], 0, out, 0, first, size)
