"""How large and how small the numbers of a parameter are."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np

LARGEST = 2**200
"""Where bounds stop growing: a chain of products would double their digits with every link."""
MOST_STEPS = 2**32
"""Steps over which a membrane without a leak may add up what comes in."""


def largest(values: Any) -> int:
    """The largest magnitude of a parameter, rounded up to a whole number."""
    array = np.abs(np.asarray(values, dtype=np.float64))
    return ceil(min(array.max(), float(LARGEST))) if array.size else 0


def row_sum(weight: Any, axes: tuple[int, ...]) -> int:
    """The largest sum of magnitudes along ``axes``, rounded up."""
    return largest(np.abs(np.asarray(weight, dtype=np.float64)).sum(axis=axes))


def least(values: Any, axis: int | tuple[int, ...] | None = None) -> float:
    """The smallest magnitude of a parameter other than 0; with ``axis`` of the largest ones along it."""
    array = np.abs(np.asarray(values, dtype=np.float64))
    array = array if axis is None else array.max(axis=axis, initial=0.0)
    return float(array.min(where=array > 0, initial=1.0))


def times(factor: Any, x: Any) -> tuple[Any, Any]:
    """The ends of factor·x for x within (low, high), where 0 times infinity is 0: the factor is known."""
    with np.errstate(invalid="ignore"):
        a, b = (
            np.where(np.asarray(factor) == 0, 0.0, np.nan_to_num(factor * end, nan=0.0, posinf=np.inf, neginf=-np.inf))
            for end in x
        )
    return np.minimum(a, b), np.maximum(a, b)
