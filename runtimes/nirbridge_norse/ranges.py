"""Where single precision would give another answer than double precision, by its range: too large, too small, too long.

That it rounds the last bits of a fraction is not meant.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import InputError
from nirbridge.ir import SparseMatrix
from nirbridge.runtime import Plan, below_single, beyond_single
from nirbridge.runtime.integer_bounds import SINGLE, single_precision_limit

DATA_LIMIT = 2.0**24
"""Data up to this magnitude must do in single precision, else double precision is the default."""
_BYTE = 255
_WEIGHTS = ("weight", "bias", "scale")
_LONGEST = 2**53


class NarrowError(InputError):
    """Single precision would give another answer."""

    def __init__(self, where: str, found: str, next_step: str = "Compile with dtype='float64'") -> None:
        super().__init__(where, found, next_step)


def lost_values(given: NDArray[Any], cast: NDArray[Any]) -> NDArray[Any]:
    """The numbers of ``given`` that ``cast``, the same in a narrower dtype, does not hold.

    1. Magnitudes beyond its range.
    2. Magnitudes so small that it has few bits for them, or 0.
    3. Whole numbers that it rounds to others.
    """
    differ = cast != given
    if not differ.any():
        return given[differ]
    limits, size = np.finfo(cast.dtype), np.abs(given[differ].astype(np.float64))
    whole = (size >= SINGLE) & (size < _LONGEST) & (size == np.rint(size))
    return given[differ][(size > limits.max) | (size < limits.tiny) | whole]


def require_range(plan: Plan, magnitude: float) -> None:
    """Refuses a plan whose products or sums can leave the range with data up to ``magnitude``.

    Raises:
        NarrowError: those of a node can.
    """
    node = beyond_single(plan, ceil(magnitude))
    if node is not None:
        found = f"its products or sums can leave the range of float32 with data up to {magnitude:.3g}"
        raise NarrowError(str(node), found)


def require_bits(plan: Plan) -> None:
    """Refuses a plan some of whose products are so small that few bits are left of them, or none.

    Raises:
        NarrowError: those of a node are.
    """
    node = below_single(plan)
    if node is not None:
        raise NarrowError(str(node), "its products can be below the range of float32")


def require_exact_sums(plan: Plan) -> None:
    """Refuses a plan of whole weights, which promise exact agreement, where sums of bytes can pass 2^24.

    Raises:
        NarrowError: they can.
    """
    if _has_whole_weights(plan) and single_precision_limit(plan) < _BYTE:
        raise NarrowError("graph", "its weights are whole numbers, and float32 rounds sums of theirs beyond 2^24")


def _has_whole_weights(plan: Plan) -> bool:
    nodes = [planned.node for planned in plan.nodes]
    if any(type(node) is nir.AvgPool2d for node in nodes):
        return False
    fields = [vars(node)[name] for node in nodes for name in _WEIGHTS if vars(node).get(name) is not None]
    return bool(fields) and all(map(_is_whole, fields))


def _is_whole(values: Any) -> bool:
    array = np.asarray(values.value if isinstance(values, SparseMatrix) else values)
    return bool((array == np.rint(array)).all())
