"""Which surrogates are compiled into the backward passes; the slopes of any other are computed by torch beforehand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from math import factorial, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.structs import Curve
from nirbridge.neurons.surrogates import Sigmoid, Surrogate, Tet, Triangle

Array = NDArray[Any]
GIVEN, TRIANGLE, SIGMOID = 0, 1, 2
Rises = tuple[tuple[float, float, float], ...]

# The kind, its height and its width. By exact type: a subclass may have another derivative.
_COMPILED: dict[type[Any], Callable[[Any], tuple[int, float, float]]] = {
    Triangle: lambda h: (TRIANGLE, h.gamma, 1.0),
    Tet: lambda h: (TRIANGLE, 1.0 / h.g, h.g),
    Sigmoid: lambda h: (SIGMOID, h.alpha, 1.0 / h.alpha),
}


def is_compiled(surrogate: Surrogate) -> bool:
    """Whether the loops know the surrogate."""
    return type(surrogate) in _COMPILED


def kind_of(surrogate: Any) -> tuple[int, float, float]:
    """The kind, the height and the width of a surrogate that the loops know."""
    return _COMPILED[type(surrogate)](surrogate)


@lru_cache(maxsize=256)
def curve_of(surrogate: Any, rises: Rises, quantum: bytes, dtype: Any) -> Curve:
    """Σ c h(u m/q - s)/q over the (c, m, s) in ``rises``, for a surrogate that the loops know.

    Args:
        surrogate: h.
        rises: terms, in units of the quantum.
        quantum: q by group, as bytes of ``dtype``.
        dtype: numpy's, of the data.
    """
    kind, height, width = kind_of(surrogate)
    table = np.array(rises) * (height, 1.0 / width, 1.0 / width)
    held = np.frombuffer(quantum, dtype)
    table = np.repeat(table[None], len(held), axis=0)
    table[:, :, :2] /= held[:, None, None]
    return Curve(kind, table.astype(dtype), _exponential_series(dtype), np.empty((0, 0), dtype))


def given_slopes(slopes: Array) -> Curve:
    """Slopes [T, N] that were computed beforehand."""
    return Curve(GIVEN, np.empty((0, 0, 3), slopes.dtype), _exponential_series(slopes.dtype), slopes)


@cache
def _exponential_series(dtype: Any) -> Array:
    """log2 e, ln2 in two parts, the largest argument, and Taylor's coefficients of exp on ±ln2/2, highest first."""
    most = 87.0 if dtype == np.float32 else 700.0
    # The high part ends in zeros, so that its product with a whole number up to 1024 is exact.
    high = float(np.round(log(2.0) * 2.0**11) / 2.0**11)
    coefficients = [1.0 / factorial(k) for k in reversed(range(14))]
    return np.array([1.0 / log(2.0), high, log(2.0) - high, most, *coefficients], dtype=dtype)
