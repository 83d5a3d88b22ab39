"""Whether a network's sums are exact even in single precision, so that no rounding can excuse a difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import nir
import numpy as np

from nirbridge.ir import time_constants
from nirbridge.primitives.fields import NOT_FIELDS
from nirbridge.primitives.magnitudes import in_blocks
from nirbridge.primitives.sparse import entries
from nirbridge.runtime import Array, Plan

_BITS = 12
"""A dyadic number is *short* when it is a multiple of 2^-12 below 2^12: products of two then fit float32."""


def is_dyadic(plan: Plan, data: Iterable[Array]) -> bool:
    """Whether all parameters, all factors dt/tau and all data are short dyadic numbers."""
    return all(_short_dyadic(array) for array in data) and all(
        _short_dyadic(array) for planned in plan.nodes for array in _factors(planned.node, plan.dt)
    )


def _factors(node: nir.NIRNode, dt: float) -> Iterator[Array]:
    """The numbers that a node computes with; a time constant counts as the factor dt/tau."""
    scaled = time_constants(node)
    for name, value in vars(node).items():
        if name in NOT_FIELDS or value is None or isinstance(value, str) or name == "delay":
            continue
        array = entries(value)
        if array.dtype.kind in "fiub":
            yield dt / array if name in scaled else array


def _short_dyadic(array: Any) -> bool:
    values = np.asarray(array)
    if values.dtype.kind not in "fiub":
        return False
    return all(
        (np.abs(scaled) < 2.0 ** (2 * _BITS)).all() and (scaled == np.rint(scaled)).all()
        for scaled in (np.ldexp(block, _BITS) for block in in_blocks(values))
    )
