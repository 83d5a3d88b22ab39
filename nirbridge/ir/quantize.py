"""The step between analog data and a graph of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, Shape, as_number, as_shape, require_broadcast

_WHERE = "Quantize"
WIDEST = 2**23 - 1
"""Largest magnitude of a 24-bit message, the usual end of the range."""


@dataclass(eq=False)
class Quantize(Extension):
    r"""Data as integers: rounded to a grid, and cut to the range of a message.

    .. math::
        y = \text{clip}(\text{round half to even}(x / step), \; low, \; high)

    ``nirbridge.quantize`` puts one behind every input, so that a graph of integers takes the data of the float graph;
    there the host computes it, in double precision, before data reach a runtime.

    Args:
        shape: of input and output, without time and batch.
        step: what the integer 1 stands for, above 0; a number or an array broadcastable to ``shape``.
        low: the least integer, broadcastable to ``shape``.
        high: the largest integer, broadcastable to ``shape``.

    Raises:
        GraphError: a field does not fit, a step is not above 0, or low and high are no whole numbers in order.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", CVPR 2018, equation 1 with zero point 0.
    """

    shape: Shape
    step: NDArray[Any] | float = 1.0
    low: NDArray[Any] | int = -WIDEST
    high: NDArray[Any] | int = WIDEST

    def __post_init__(self) -> None:
        self.shape = as_shape(_WHERE, self.shape)
        for name in ("step", "low", "high"):
            array = as_number(_WHERE, name, getattr(self, name))
            require_broadcast(_WHERE, name, array, self.shape)
            setattr(self, name, array)
        if not (np.isfinite(self.step) & (self.step > 0)).all():
            raise GraphError(_WHERE, f"step holds {np.min(self.step):g}, not a number above 0", "Give for instance 1.0")
        for name in ("low", "high"):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            broken = array[array != np.rint(array)]
            if broken.size or not np.isfinite(array).all():
                value = (broken if broken.size else array[~np.isfinite(array)]).flat[0]
                raise GraphError(_WHERE, f"{name} holds {value:g}, which is no whole number", "Give an integer")
        if (np.asarray(self.low) > np.asarray(self.high)).any():
            raise GraphError(_WHERE, f"low {np.max(self.low)} lies above high {np.min(self.high)}", "Exchange them")
        self._set_types(self.shape, self.shape)

    def integers(self, x: Any) -> NDArray[np.float64]:
        """y for data [..., *shape], in double precision."""
        return np.clip(self.unclipped(x), self.low, self.high)

    def unclipped(self, x: Any) -> NDArray[np.float64]:
        """round half to even(x / step), before the range."""
        with np.errstate(over="ignore"):  # what overflows lies beyond any range
            return np.rint(np.asarray(x, dtype=np.float64) / self.step)
