"""Central differences of a scalar function, the independent witness of the gradient tests."""

from collections.abc import Callable

import numpy as np


def central(f: Callable[[np.ndarray], float], x: np.ndarray, h: float = 1e-6) -> np.ndarray:
    """df/dx elementwise at ``x``."""
    x = np.array(x, dtype=np.float64)
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += h
        behind[index] -= h
        gradient[index] = (f(ahead) - f(behind)) / (2 * h)
    return gradient


PRIMITIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {}


def _primitive(name: str) -> Callable[[Callable[[np.ndarray], np.ndarray]], Callable[[np.ndarray], np.ndarray]]:
    def keep(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        PRIMITIVES[name] = function
        return function

    return keep


@_primitive("triangle")
def triangle(r: np.ndarray) -> np.ndarray:
    """Integral of 0.3 max(0, 1 - |r|), piece by piece."""
    rising, falling = (1 + r) ** 2 / 2, 1 - (1 - r) ** 2 / 2
    return 0.3 * np.select([r <= -1, r <= 0, r <= 1], [0.0, rising, falling], 1.0)


@_primitive("tet")
def tet(r: np.ndarray) -> np.ndarray:
    """Integral of max(0, 1 - |r|)."""
    return triangle(r) / 0.3


@_primitive("sigmoid")
def sigmoid(r: np.ndarray, alpha: float = 4.0) -> np.ndarray:
    """Integral of α σ(αr)(1 - σ(αr))."""
    return 1 / (1 + np.exp(-alpha * r))
