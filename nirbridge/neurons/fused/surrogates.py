"""Which surrogates are compiled into the backward passes; the slopes of any other are computed by torch beforehand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import factorial, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.surrogates import Sigmoid, Surrogate, Tet, Triangle

Array = NDArray[Any]
GIVEN, TRIANGLE, SIGMOID = 0, 1, 2
Rises = list[tuple[float, float, float]]

# By exact type: a subclass may have another derivative.
_COMPILED: dict[type[Any], Callable[[Any], tuple[int, tuple[float, float]]]] = {
    Triangle: lambda h: (TRIANGLE, (h.gamma, 1.0)),
    Tet: lambda h: (TRIANGLE, (1.0 / h.g, h.g)),
    Sigmoid: lambda h: (SIGMOID, (h.alpha, 0.0)),
}


@dataclass(frozen=True)
class Curve:
    """The slope of a level as the loops take it.

    Attributes:
        arrays: rises (G, R, 3) of factor, factor of u, and shift; the kind of surrogate; its two numbers; the
            coefficients of exp.
    """

    arrays: tuple[Array, int, Array, Array]

    @classmethod
    def none(cls, dtype: Any, groups: int) -> Curve:
        """Where the slopes are given."""
        return cls((np.zeros((groups, 1, 3), dtype), GIVEN, np.zeros(2, dtype), exponential_series(dtype.name)))


def curve_of(surrogate: Surrogate, rises: Rises, quantum: Array) -> Curve | None:
    """Σ c h(u m/q - s)/q over the (c, m, s) in ``rises``, for a surrogate that the loops know, else None."""
    describe = _COMPILED.get(type(surrogate))
    if describe is None:
        return None
    kind, numbers = describe(surrogate)
    if len(rises) > 1:
        # Loops take four at a time; those without height change nothing.
        rises = rises + [(0.0, *rises[-1][1:])] * (-len(rises) % 4)
    table = np.repeat(np.array(rises, quantum.dtype)[None], len(quantum), axis=0)
    table[:, :, :2] /= quantum[:, None, None]
    return Curve((table, kind, np.array(numbers, quantum.dtype), exponential_series(quantum.dtype.name)))


@cache
def exponential_series(dtype: str) -> Array:
    """log2 e, ln2 in two parts, the largest argument, and Taylor's coefficients of exp on ±ln2/2, highest first."""
    terms, most = (8, 87.0) if dtype == "float32" else (14, 700.0)
    # The high part ends in zeros, so that its product with a whole number up to 1024 is exact.
    high = float(np.round(log(2.0) * 2.0**11) / 2.0**11)
    coefficients = [1.0 / factorial(k) for k in reversed(range(terms))]
    return np.array([1.0 / log(2.0), high, log(2.0) - high, most, *coefficients], dtype=dtype)
