r"""Products of signals: ``Place`` brings each factor to its slot, ``Product`` multiplies the slots.

Several edges into a node add up, so factors cannot arrive as edges of their own.  They arrive side by side on axis 0:
each through a ``Place`` that is 0 outside of its slot, or all of them from one layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from nirbridge.errors import GraphError
from nirbridge.ir.extension import Extension, Shape, as_count, as_shape


@dataclass(eq=False)
class Place(Extension):
    r"""The input as a slot of a larger output, repeated where it has one value for many places; linear, no state.

    .. math::
        y[start:stop] = \text{x broadcast to } (stop - start, \; output\_shape[1:]), \qquad y = 0 \text{ elsewhere}

    "Broadcast" is numpy's rule for equally many axes: x is repeated along every axis in which ``input_shape`` has 1.
    ``Place((C, 1, 1), (C, H, W), 0, C)`` gives each channel's value to all of its places.

    Args:
        input_shape: shape of the input, without time and batch.
        output_shape: shape of the output, of as many axes.
        start: first index of the slot on axis 0.
        stop: index behind the slot.

    Raises:
        GraphError: the slot lies outside of the output, or the input does not broadcast to it.

    Source: Abillama et al., IEEE Access 2025, the attention of its spike-driven transformer.
    """

    input_shape: Shape
    output_shape: Shape
    start: int
    stop: int

    def __post_init__(self) -> None:
        self.input_shape = as_shape("Place", self.input_shape)
        self.output_shape = as_shape("Place", self.output_shape, len(self.input_shape))
        self.start = as_count("Place", "start", self.start, 0)
        self.stop = as_count("Place", "stop", self.stop, 1)
        if not self.input_shape:
            raise GraphError("Place", "its input has no axis to place it on", "Give it at least one axis")
        if not self.start < self.stop <= self.output_shape[0]:
            found = f"slot {self.start}..{self.stop} is not within the {self.output_shape[0]} indices of axis 0"
            raise GraphError("Place", found, "Let 0 <= start < stop <= output_shape[0]")
        if any(n not in (1, size) for n, size in zip(self.input_shape, self.slot_shape, strict=True)):
            found = f"input_shape {self.input_shape} does not broadcast to its slot {self.slot_shape}"
            raise GraphError("Place", found, "Give 1 or the slot's size along each axis")
        self._set_types(self.input_shape, self.output_shape)

    @property
    def slot_shape(self) -> Shape:
        """Shape of the part of the output that is not 0."""
        return (self.stop - self.start, *self.output_shape[1:])


@dataclass(eq=False)
class Product(Extension):
    r"""Product of its input's slots, element by element; no state.

    .. math::
        y = \prod_{i=0}^{I-1} x[iC : (i+1)C]

    Input (I·C, ...), output (C, ...); multiplied from the first slot on, in that order.

    Args:
        input_shape: shape of the input, without time and batch; axis 0 holds the slots one after the other.
        factors: I, the number of slots, at least 2.

    Raises:
        GraphError: fewer than 2 factors, or an axis 0 that does not divide into them.

    Source: Abillama et al., IEEE Access 2025, the attention of its spike-driven transformer.
    """

    input_shape: Shape
    factors: int

    def __post_init__(self) -> None:
        self.input_shape = as_shape("Product", self.input_shape)
        self.factors = as_count("Product", "factors", self.factors, 2)
        if not self.input_shape or self.input_shape[0] % self.factors:
            raise GraphError("Product", f"input_shape {self.input_shape} does not divide into {self.factors} slots")
        self._set_types(self.input_shape, self.output_shape)

    @property
    def output_shape(self) -> Shape:
        """Shape of one slot, and of the output."""
        return (self.input_shape[0] // self.factors, *self.input_shape[1:])
