"""Places the factors of a :class:`~nirbridge.primitives.Product` side by side.

Several edges into a node add up, so factors cannot arrive as edges of their own.  They arrive side by side on axis 0:
each through a ``Place`` that is 0 outside of its slot, or all of them from one layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.errors import GraphError
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain
from nirbridge.primitives.fields import Extension, Shape, as_count, as_shape
from nirbridge.primitives.shaping import fixed_shapes, stated
from nirbridge.primitives.spec import (
    MOVES,
    PASSED,
    STATELESS,
    Array,
    Bounds,
    Checks,
    Floats,
    Integers,
    Shown,
    Spec,
    transparent,
)


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


def placed(node: Place, x: Array) -> Array:
    """[N, *input_shape] in the slot of [N, *output_shape]."""
    y = np.zeros((len(x), *node.output_shape), dtype=x.dtype)
    y[:, node.start : node.stop] = x
    return y


def _bounds(node: Place, x: Bounds, shape: Shape) -> Bounds:
    return Bounds(*(placed(node, end[None])[0] for end in x))


def _unit(node: Place, unit: Array, shape: Shape) -> Array:
    """Outside of the slot there is nothing, which any other sender's unit undercuts."""
    wide = np.full(shape, np.inf)
    wide[node.start : node.stop] = unit
    return wide


def _draw(dice: Any, shape: Shape) -> nir.NIRNode:
    """A slot among up to two more channels; an axis of size 1 is repeated."""
    before, behind, times = (int(n) for n in dice.rng.integers(0, 3, 3))
    sizes = [size * (1 + times) if size == 1 else size for size in shape]
    return Place(shape, (before + sizes[0] + behind, *sizes[1:]), before, before + sizes[0])


def _examples() -> list[Example]:
    return [
        chain("place", Place, Place((2, 3, 1), (5, 3, 4), 1, 3), shape=(2, 3, 1)),
        chain("place, one channel for many", Place, Place((1, 3), (5, 3), 0, 4), shape=(1, 3)),
    ]


def _integer_examples() -> list[Example]:
    return [chain("place", Place, Place((2, 3, 1), (5, 3, 4), 1, 3), shape=(2, 3, 1), dt=INTEGER_DT)]


SPEC = Spec(
    **STATELESS,
    node=Place,
    shape=fixed_shapes,
    states=stated,
    operation="place",
    by_hand="it moves values and computes nothing",
    sends=PASSED,
    floats=Floats(),
    integers=Integers(quantise="place"),
    cost=transparent("part of the address of an event", _unit),
    chip=MOVES,
    shown=Shown(role="product", fields=("start", "stop")),
    checks=Checks(bounds=_bounds),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
