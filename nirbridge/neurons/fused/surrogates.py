"""Which surrogates are compiled into the backward passes; the slopes of any other are computed by torch beforehand."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import factorial, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.slopes import SIGMOID, TRIANGLE
from nirbridge.neurons.surrogates import Sigmoid, Surrogate, Tet, Triangle

Shape = tuple[int, tuple[float, float]]

# By exact type: a subclass may have another derivative.
_COMPILED: dict[type[Any], Callable[[Any], Shape]] = {
    Triangle: lambda h: (TRIANGLE, (h.gamma, 1.0)),
    Tet: lambda h: (TRIANGLE, (1.0 / h.g, h.g)),
    Sigmoid: lambda h: (SIGMOID, (h.alpha, 0.0)),
}


def compiled_shape(surrogate: Surrogate) -> Shape | None:
    """(kind, numbers) of a surrogate that the passes know, else None."""
    describe = _COMPILED.get(type(surrogate))
    return None if describe is None else describe(surrogate)


@cache
def exponential_series(dtype: str) -> NDArray[Any]:
    """log2 e, ln2 in two parts, the largest argument, and Taylor's coefficients of exp on ±ln2/2, highest first."""
    terms, most = (8, 87.0) if dtype == "float32" else (14, 700.0)
    # The high part ends in zeros, so that its product with a whole number up to 1024 is exact.
    high = float(np.round(log(2.0) * 2.0**11) / 2.0**11)
    coefficients = [1.0 / factorial(k) for k in reversed(range(terms))]
    return np.array([1.0 / log(2.0), high, log(2.0) - high, most, *coefficients], dtype=dtype)
