"""How large and how small the numbers of a parameter are."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 2**200
"""Where bounds stop growing: a chain of products would double their digits with every link."""
MOST_STEPS = 2**32
"""Steps over which a membrane without a leak may add up what comes in."""


_BLOCK = 2**20
"""Entries that are looked at at once: copies of all weights would be most of the memory that a check takes."""


def in_blocks(values: Any) -> Iterator[NDArray[np.float64]]:
    """A parameter in double precision, some rows of its first axis after the other; one number as a row of its own."""
    array = np.atleast_1d(np.asarray(values))
    rows = max(1, _BLOCK * len(array) // max(array.size, 1))
    for first in range(0, len(array), rows):
        yield np.asarray(array[first : first + rows], dtype=np.float64)


def magnitude(values: Any) -> float:
    """The largest magnitude of a parameter; NaN where it holds one."""
    found = 0.0
    for block in in_blocks(values):
        found = np.maximum(found, np.abs(block).max(initial=0.0))
    return float(found)


def largest(values: Any) -> int:
    """The largest magnitude of a parameter, rounded up to a whole number."""
    return ceil(min(magnitude(values), float(LARGEST)))


def row_sum(weight: Any, axes: tuple[int, ...]) -> int:
    """The largest sum of magnitudes along ``axes``, of which the first is none, rounded up."""
    return max((largest(np.abs(block).sum(axis=axes)) for block in in_blocks(weight)), default=0)


def least(values: Any, axis: int | tuple[int, ...] | None = None) -> float:
    """The smallest magnitude of a parameter other than 0; along ``axis``, which is not the first, only the largest."""
    found = 1.0
    for block in in_blocks(values):
        array = np.abs(block) if axis is None else np.abs(block).max(axis=axis, initial=0.0)
        found = float(array.min(where=array > 0, initial=found))
    return found


def product_bounds(above: Any, below: Any, low: Any, high: Any) -> tuple[Any, Any]:
    """The ends of Σ_i W[..., o, i] x[..., i] for x within (low, high).

    Args:
        above: the weights above 0, and 0 for the others.
        below: those below.
        low: of the inputs; where it is not finite, so are the sums that a weight other than 0 takes it into.
        high: likewise.
    """
    low_known, high_known = np.isfinite(low), np.isfinite(high)
    a, b = np.where(low_known, low, 0.0), np.where(high_known, high, 0.0)
    least, most = _product(above, a) + _product(below, b), _product(above, b) + _product(below, a)
    unbound_low, unbound_high = np.isnan(least), np.isnan(most)  # the difference of two sums that overflow
    if not (low_known.all() and high_known.all()):
        up, down, low_open, high_open = (
            (~known).astype(np.float32) for known in (above == 0, below == 0, low_known, high_known)
        )
        unbound_low |= _product(up, low_open) + _product(down, high_open) > 0
        unbound_high |= _product(up, high_open) + _product(down, low_open) > 0
    return np.where(unbound_low, -np.inf, least), np.where(unbound_high, np.inf, most)


def _product(matrix: Any, x: Any) -> Any:
    """Along the last axis of ``x``, with one matrix for all places of its other axes or one for each."""
    return x @ matrix.T if matrix.ndim == 2 else np.matmul(matrix, x[..., None])[..., 0]


def times(factor: Any, x: Any) -> tuple[Any, Any]:
    """The ends of factor·x for x within (low, high), where 0 times infinity is 0: the factor is known."""
    with np.errstate(invalid="ignore"):
        a, b = (
            np.where(np.asarray(factor) == 0, 0.0, np.nan_to_num(factor * end, nan=0.0, posinf=np.inf, neginf=-np.inf))
            for end in x
        )
    return np.minimum(a, b), np.maximum(a, b)
