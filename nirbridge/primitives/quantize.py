"""The step between analog data and a graph of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError
from nirbridge.primitives.examples import INTEGER_DT, Example, chain, weights, whole_numbers
from nirbridge.primitives.fields import Extension, Shape, as_shape
from nirbridge.primitives.magnitudes import largest
from nirbridge.primitives.shaping import declared, stated
from nirbridge.primitives.spec import (
    ANALOG,
    HOST,
    STATELESS,
    Bounds,
    Checks,
    Floats,
    Integers,
    Shown,
    Spec,
    transparent,
)

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
        self._hold_numbers(self.shape, "step", "low", "high")
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


def _bounds(node: Quantize, x: Bounds, shape: Shape) -> Bounds:
    """Rounding keeps the order, so ends go to ends."""
    ends = (np.clip(np.rint(end / node.step), node.low, node.high) for end in x)
    return Bounds(*(np.broadcast_to(end, shape) for end in ends))


def _examples() -> list[Example]:
    grid = Quantize((3,), np.array([0.25, 0.5, 2.0]), -1, np.array([1, 2, 9]))
    beside = {"q": Quantize((3,), 0.75), "fc": nir.Linear(weights(2, 3))}
    return [
        chain("quantize behind the input", Quantize, Quantize((4,), 0.75, -9, 9), shape=(4,)),
        chain("quantize inside", Quantize, nir.Linear(weights(3, 4)), grid, shape=(4,)),
        Example("quantize beside the input", (Quantize,), beside, ("input q fc output", "input fc"), (3,)),
    ]


def _integer_examples() -> list[Example]:
    layers = Quantize((4,), 0.75, -9, 9), nir.Linear(whole_numbers(3, 4))
    return [chain("quantize", Quantize, *layers, shape=(4,), dt=INTEGER_DT)]


SPEC = Spec(
    **STATELESS,
    node=Quantize,
    shape=declared,
    states=stated,
    operation="quantize",
    by_hand="it rounds, for which the operators have no sign; behind an Input the host does it",
    sends=ANALOG,
    floats=Floats(),
    integers=Integers(grows=lambda node, x: max(largest(node.low), largest(node.high)), quantise="quantize"),
    cost=transparent(
        "rounds the data on the host, before they reach a chip", lambda node, unit, shape: unit / node.step
    ),
    chip=HOST,
    shown=Shown(role="boundary", fields=("step", "low", "high")),
    checks=Checks(bounds=_bounds),
    draws=(),
    examples=_examples,
    integer_examples=_integer_examples,
)
