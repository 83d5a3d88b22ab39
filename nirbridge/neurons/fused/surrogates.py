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
Rises = tuple[tuple[float, float, float], ...]

# The kind, its height and its width. By exact type: a subclass may have another derivative.
_COMPILED: dict[type[Any], Callable[[Any], tuple[int, float, float]]] = {
    Triangle: lambda h: (TRIANGLE, h.gamma, 1.0),
    Tet: lambda h: (TRIANGLE, 1.0 / h.g, h.g),
    Sigmoid: lambda h: (SIGMOID, h.alpha, 1.0 / h.alpha),
}


@dataclass(frozen=True)
class Curve:
    """The slope of a level as the loops take it.

    Attributes:
        rises: factor, factor of u, and shift of each rise (G, R, 3).
        kind: of surrogate.
    """

    rises: Array
    kind: int

    @property
    def arrays(self) -> tuple[Array, int, Array]:
        """What loops take: the rises, the kind, and the coefficients of exp."""
        return self.rises, self.kind, exponential_series(self.rises.dtype)

    @classmethod
    def none(cls, dtype: Any, groups: int) -> Curve:
        """Where the slopes are given."""
        return cls(np.zeros((groups, 1, 3), dtype), GIVEN)


def is_compiled(surrogate: Surrogate) -> bool:
    """Whether the loops know the surrogate."""
    return type(surrogate) in _COMPILED


def curve_of(surrogate: Surrogate, rises: Rises, quantum: Array) -> Curve:
    """Σ c h(u m/q - s)/q over the (c, m, s) in ``rises``, for a surrogate that the loops know."""
    kind, height, width = _COMPILED[type(surrogate)](surrogate)
    if len(rises) > 1:
        # Loops take four at a time; those without height change nothing.
        rises = rises + ((0.0, *rises[-1][1:]),) * (-len(rises) % 4)
    table = np.array(rises) * (height, 1.0 / width, 1.0 / width)
    table = np.repeat(table[None], len(quantum), axis=0)
    table[:, :, :2] /= quantum[:, None, None]
    return Curve(table.astype(quantum.dtype), kind)


@cache
def exponential_series(dtype: Any) -> Array:
    """log2 e, ln2 in two parts, the largest argument, and Taylor's coefficients of exp on ±ln2/2, highest first."""
    terms, most = (8, 87.0) if dtype == np.float32 else (14, 700.0)
    # The high part ends in zeros, so that its product with a whole number up to 1024 is exact.
    high = float(np.round(log(2.0) * 2.0**11) / 2.0**11)
    coefficients = [1.0 / factorial(k) for k in reversed(range(terms))]
    return np.array([1.0 / log(2.0), high, log(2.0) - high, most, *coefficients], dtype=dtype)
