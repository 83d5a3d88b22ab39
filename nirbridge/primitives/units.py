"""What the integer 1 stands for in messages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MESSAGE_LIMIT = 255
"""Largest magnitude of the integers that stand for lane weights without a common unit, and for analog inputs."""
_MOST_PARTS = 8
_CLOSE = 1e-5


def common_unit(values: Array) -> Array:
    """q with values[s]/q whole for every lane s, by neuron, as large as there is; the lanes stand on axis 0.

    One-hot weights 1/4, 1/2, 1 have the unit 1/4, levels q, 2q, 3q have q.  Values without a unit get the finest
    power of two at which they stay within 255; rounding them is the quantisation of the message.
    """
    magnitudes, smallest = np.abs(np.asarray(values, dtype=np.float64)), least_magnitude(values)
    for parts in range(1, _MOST_PARTS + 1):
        ratio = magnitudes * parts / smallest
        if (np.abs(ratio - np.rint(ratio)) <= _CLOSE * np.maximum(ratio, 1)).all():
            return collapsed(smallest / parts)
    top = max(float(magnitudes.max()), float(np.finfo(np.float64).tiny))
    return np.asarray(2.0 ** np.ceil(np.log2(top / MESSAGE_LIMIT)))


def least_magnitude(values: Array) -> Array:
    """The least magnitude above 0 on axis 0; 1 where there is none."""
    magnitudes = np.abs(np.asarray(values, dtype=np.float64))
    least = np.where(magnitudes > 0, magnitudes, np.inf).min(axis=0)
    return np.where(np.isfinite(least), least, 1.0)


def collapsed(scale: Array) -> Array:
    """A scale that is the same everywhere as one number."""
    scale = np.asarray(scale, dtype=np.float64)
    return scale.flat[0] * np.ones(()) if scale.size and np.ptp(scale) <= 1e-12 * np.abs(scale).max() else scale
