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
from nirbridge.ir import Product, SparseMatrix, spec_of
from nirbridge.runtime import Plan, below_single, beyond_single
from nirbridge.runtime.integer_bounds import SINGLE, carried

DATA_LIMIT = 2.0**24
"""Data up to this magnitude must do in single precision, else double precision is the default."""
_BYTE = 255
_WEIGHTS = ("weight", "bias", "scale")
_LONGEST = 2**53
_SHORT = 12
"""Bits behind the point that a dyadic weight may have."""


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
    """Refuses a plan of whole or short dyadic weights, which promise exact agreement, where sums need too many bits.

    That is for data of a byte; what neurons compute is left aside.

    Raises:
        NarrowError: those of a node do.
    """
    fractions = _fraction_bits(plan)
    if fractions is None:
        return
    found = carried(plan, _BYTE)
    for planned in plan.nodes:
        if found is None or found[planned.name] << fractions[planned.name] >= SINGLE:
            text = "its weights are whole or dyadic numbers, and float32 rounds sums of theirs"
            raise NarrowError(str(planned), text)


def _fraction_bits(plan: Plan) -> dict[str, int] | None:
    """Bits behind the point of what each node sends, for whole data; None where weights are no short dyadic numbers."""
    bits: dict[str, int] = {}
    weighted = False
    for planned in plan.nodes:
        node = planned.node
        if type(node) is nir.AvgPool2d:
            return None
        own = 0
        for name in _WEIGHTS:
            value = vars(node).get(name)
            if value is not None:
                needed = _bits(value.value if isinstance(value, SparseMatrix) else value)
                if needed is None:
                    return None
                own, weighted = max(own, needed), True
        if spec_of(node).is_neuron:
            bits[planned.name] = _bits(spec_of(node).sends.largest(node)) or 0
        else:
            entering = max((bits.get(source.name, 0) for source in planned.sources), default=0)
            bits[planned.name] = (entering + own) * (node.factors if type(node) is Product else 1)
    return bits if weighted else None


def _bits(values: Any) -> int | None:
    """The fewest bits behind the point with which all numbers are written, up to :data:`_SHORT`."""
    scaled = np.ldexp(np.asarray(values, dtype=np.float64), _SHORT)
    if not np.isfinite(scaled).all() or (scaled != np.rint(scaled)).any():
        return None
    return next(n for n in range(_SHORT + 1) if not np.fmod(scaled, 2.0 ** (_SHORT - n)).any())
