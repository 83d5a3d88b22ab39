"""Forward passes over [T, N]: inputs ``x`` to outputs ``y``, chunk by chunk, all steps of a chunk in the cache.

A chunk (first, last, group) is a run of neurons that share their parameters. ``u`` has T rows where the membranes after
charging are wanted, else none.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.machine_code import loop
from nirbridge.neurons.fused.rows import rows_of_chunks
from nirbridge.neurons.fused.steps import charge, fire_one_hot, fire_uniform
from nirbridge.neurons.fused.structs import Lanes, Levels, Neurons

Array = NDArray[Any]


@loop
def one_hot(x: Array, y: Array, u: Array, neurons: Neurons, lanes: Lanes, chunks: Array) -> None:
    """u = decay v + gain x; y the weight of the highest lane that fires; v = u - y θ, or v_reset where one did."""
    rows = rows_of_chunks(x, 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay = last - first, neurons.decay[group]
        rows[0, :size] = neurons.v_init[group]
        for t in range(x.shape[0]):
            current, before, after = x[t, first:last], rows[t % 2, :size], rows[(t + 1) % 2, :size]
            if u.shape[0] > 0:
                charge(current, before, u[t, first:last], decay, lanes.gain)
            fire_one_hot(current, before, after, y[t, first:last], decay, neurons.quantum[group], lanes)


@loop
def uniform(x: Array, y: Array, u: Array, neurons: Neurons, levels: Levels, chunks: Array) -> None:
    """u = decay v + x; z the highest k in 0..N with u >= k q (or 0); v = u - z q; y = z q, or z."""
    rows = rows_of_chunks(x, 2, chunks)
    for c in range(chunks.shape[0]):
        first, last, group = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, decay = last - first, neurons.decay[group]
        rows[0, :size] = neurons.v_init[group]
        for t in range(x.shape[0]):
            current, before, after = x[t, first:last], rows[t % 2, :size], rows[(t + 1) % 2, :size]
            if u.shape[0] > 0:
                charge(current, before, u[t, first:last], decay, x.dtype.type(1))
            fire_uniform(current, before, after, y[t, first:last], decay, neurons.quantum[group], levels)
