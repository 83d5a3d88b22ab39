"""Rows of one chunk: room for them, copies, and sums of products. An array that is written is none that is read."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.machine_code import loop, summing_loop

Array = NDArray[Any]


@loop
def rows_of_chunks(x: Array, count: int, chunks: Array) -> Array:
    """Room for ``count`` rows of the widest chunk, in the type of ``x``."""
    width = 0
    for c in range(chunks.shape[0]):
        width = max(width, chunks[c, 1] - chunks[c, 0])
    return np.empty((count, width), x.dtype)


@loop
def copy(row: Array, to: Array) -> None:
    """to = row; numba's own assignment of slices gets no SIMD."""
    for i in range(to.shape[0]):
        to[i] = row[i]


@summing_loop
def dot(a: Array, b: Array) -> Any:
    """Σ a b."""
    total = a.dtype.type(0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@loop
def mix(rows: Array, count: int, first: int, last: int, weights: Array, mixed: Array) -> None:
    """mixed = Σ_j weights[j] rows[j] over j < ``count``, from ``first`` to ``last``, two terms at a time."""
    if count < 2:
        mixed[:] = 0
    else:
        _pair(weights[0], rows[0, first:last], weights[1], rows[1, first:last], mixed)
    for j in range(2, count - 1, 2):
        _add_pair(weights[j], rows[j, first:last], weights[j + 1], rows[j + 1, first:last], mixed)
    if count % 2 == 1:
        _add(weights[count - 1], rows[count - 1, first:last], mixed)


@loop
def _pair(a: Any, row: Array, b: Any, other: Array, mixed: Array) -> None:
    for i in range(mixed.shape[0]):
        mixed[i] = a * row[i] + b * other[i]


@loop
def _add_pair(a: Any, row: Array, b: Any, other: Array, mixed: Array) -> None:
    for i in range(mixed.shape[0]):
        mixed[i] += a * row[i] + b * other[i]


@loop
def _add(a: Any, row: Array, mixed: Array) -> None:
    for i in range(mixed.shape[0]):
        mixed[i] += a * row[i]
