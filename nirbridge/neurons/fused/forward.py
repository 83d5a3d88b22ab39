"""Forward passes over [T, N]: inputs ``x`` to outputs ``y``, chunk by chunk, all steps of a chunk in the cache.

A chunk (first, last, group) is a run of neurons that share their parameters, which are rows by group. ``scratch`` has
rows as wide as a chunk. ``u`` has T rows where the membranes after charging are wanted, else none.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled
from nirbridge.neurons.fused.steps import charge, fire_one_hot, fire_uniform

Array = NDArray[Any]


@compiled
def one_hot(
    x: Array, y: Array, u: Array, v_init: Array, numbers: Array, limits: Array, units: Array, hard: bool,
    scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """u = decay v + gain x; y the highest unit with u >= its limit; v = u - y θ, or v_reset where one fired.

    ``numbers`` (G, 4): decay, gain, θ, v_reset; ``limits`` (G, S); S is 1, 4 or more. ``scratch`` (2, width).
    """
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        p, bounds = numbers[group], limits[group]
        scratch[0, :size] = v_init[group]
        for t in range(x.shape[0]):
            row, before, after = x[t, first:last], scratch[t % 2, :size], scratch[(t + 1) % 2, :size]
            if u.shape[0] > 0:
                charge(row, before, u[t, first:last], p[0], p[1])
            fire_one_hot(row, before, after, y[t, first:last], p, bounds, units, hard)


@compiled
def uniform(
    x: Array, y: Array, u: Array, v_init: Array, decay: Array, quantum: Array, levels: Any, sends_values: bool,
    scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """u = decay v + x; z the highest k in 0..levels with u >= k q (or 0); v = u - z q; y = z q, or z.

    ``scratch`` (2, width).
    """
    one = x.dtype.type(1)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep, q = decay[group], quantum[group]
        scratch[0, :size] = v_init[group]
        for t in range(x.shape[0]):
            row, before, after = x[t, first:last], scratch[t % 2, :size], scratch[(t + 1) % 2, :size]
            if u.shape[0] > 0:
                charge(row, before, u[t, first:last], keep, one)
            fire_uniform(row, before, after, y[t, first:last], keep, q, levels, sends_values)
