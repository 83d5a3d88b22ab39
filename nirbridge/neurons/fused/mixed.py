"""The passes of LM-HT over [T, N]: the mixing of the steps and the neuron behind it, chunk by chunk.

I[t] = Σ_j Ω[t, j] x[j];  u = λ v + I;  y = z q, z the highest k in 0..N with u >= k q (or 0);  v = u - z q. Its
membrane carries no gradient back, so that both passes go from the first step to the last.

Memory bounds these passes, so that rows are read and written where there is arithmetic to do meanwhile: the last two
terms of I are taken in the loop that charges the membranes, the first of them being the sum of all others where there
are more. A loop over more arrays than these would get no SIMD.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.machine_code import loop, summing_loop
from nirbridge.neurons.fused.rows import copy, dot, mix, rows_of_chunks
from nirbridge.neurons.fused.steps import less_than_one_over, settle_uniform, uniform_level
from nirbridge.neurons.fused.structs import Levels, Neurons, Window

Array = NDArray[Any]


@loop
def _charged(v: Any, decay: Any, a: Any, x: Any, b: Any, other: Any) -> Any:
    """u = λ v + (a x + b other), the same bits in both passes."""
    return decay * v + (a * x + b * other)


@loop
def _fire(a: Any, row: Array, b: Any, other: Array, v: Array, y: Array, decay: Any, q: Any, levels: Levels) -> None:
    """I = a row + b other; y = z q, and ``v`` from after the last reset to after this one."""
    per_quantum = less_than_one_over(q)
    for i in range(y.shape[0]):
        u = _charged(v[i], decay, a, row[i], b, other[i])
        y[i] = uniform_level(u, q, per_quantum, levels) * q
        v[i] = settle_uniform(u, q, per_quantum, levels)


@loop
def forward(x: Array, y: Array, u: Array, neurons: Neurons, levels: Levels, chunks: Array) -> None:
    """Fills ``y``; the membranes ``u`` are not to be had."""
    end, one = x.shape[0] - 1, x.dtype.type(1)
    rows = rows_of_chunks(x, 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        decay, q = neurons.decay[group], neurons.quantum[group]
        v, mixed = rows[0, : last - first], rows[1, : last - first]
        v[:] = neurons.v_init[group]
        for t in range(x.shape[0]):
            weights, other, sent = neurons.mixing[t], x[end, first:last], y[t, first:last]
            if end == 1:
                _fire(weights[0], x[0, first:last], weights[1], other, v, sent, decay, q, levels)
            else:
                mix(x, end, first, last, weights, mixed)
                _fire(one, mixed, weights[end], other, v, sent, decay, q, levels)


@summing_loop
def _back(
    a: Any, row: Array, b: Any, other: Array, grad: Array, v: Array, g_u: Array, decay: Any, q: Any, levels: Levels,
    low: Any, high: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """g_u = g_y within low <= u <= high, else 0; I and ``v`` as forward; gives Σ g_u v, Σ g_u row and Σ g_u other."""
    zero, per_quantum = g_u.dtype.type(0), less_than_one_over(q)
    by_v = by_row = by_other = zero
    for i in range(g_u.shape[0]):
        before, given = v[i], grad[i]
        u = _charged(before, decay, a, row[i], b, other[i])
        passed = given if (u >= low) & (u <= high) else zero
        g_u[i] = passed
        by_v += passed * before
        by_row += passed * row[i]
        by_other += passed * other[i]
        v[i] = settle_uniform(u, q, per_quantum, levels)
    return by_v, by_row, by_other


@loop
def backward(
    x: Array, grad: Array, out: Array, neurons: Neurons, levels: Levels, window: Window, sums: Array, chunks: Array
) -> None:
    """g_u[t] = g_y[t] within low <= u <= high, else 0, into ``out`` at first; g_x[j] = Σ_t Ω[t, j] g_u[t].

    ``sums`` (G, 1 + T T) receive g_λ = Σ g_u[t] v[t-1], and g_Ω[t, j] = Σ g_u[t] x[j].
    """
    steps, end, one = x.shape[0], x.shape[0] - 1, x.dtype.type(1)
    rows = rows_of_chunks(x, steps + 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay, q = last - first, neurons.decay[group], neurons.quantum[group]
        low, high = window.low[group], window.high[group]
        v, mixed = rows[steps, :size], rows[steps + 1, :size]
        v[:] = neurons.v_init[group]
        for t in range(steps):
            weights, other, g_y, g_u = neurons.mixing[t], x[end, first:last], grad[t, first:last], out[t, first:last]
            if end == 1:
                row = x[0, first:last]
                found = _back(weights[0], row, weights[1], other, g_y, v, g_u, decay, q, levels, low, high)
            else:
                mix(x, end, first, last, weights, mixed)
                found = _back(one, mixed, weights[end], other, g_y, v, g_u, decay, q, levels, low, high)
            if sums.shape[0] > 0:
                of_step = sums[group, 1 + t * steps :]
                sums[group, 0] += found[0]
                of_step[end] += found[2]
                for j in range(end):
                    of_step[j] += found[1] if end == 1 else dot(g_u, x[j, first:last])
        for t in range(steps):
            copy(out[t, first:last], rows[t, :size])
        for j in range(steps):
            mix(rows, steps, 0, size, neurons.mixing[:, j], out[j, first:last])
