"""NIR's AvgPool2d."""

from __future__ import annotations

from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.primitives import pooling
from nirbridge.primitives.convolution import example
from nirbridge.primitives.examples import INTEGER_DT, Example, chain
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.shaping import pairs
from nirbridge.primitives.spec import ANALOG, Array, Integers, Spec, transparent


def _unit(node: Any, unit: Array, shape: Shape) -> Array:
    return pooling.channel_unit(node, unit, shape) / float(prod(pairs(node.kernel_size, 2)))


def _examples() -> list[Example]:
    two = np.array([2, 2])
    return [
        chain("avg pool", nir.AvgPool2d, nir.AvgPool2d(two, two, np.array([0, 0])), shape=(2, 6, 8)),
        chain("avg pool padded", nir.AvgPool2d, nir.AvgPool2d(two, two, np.array([1, 0])), shape=(2, 6, 8)),
    ]


def _integer_examples() -> list[Example]:
    uneven = nir.AvgPool2d(np.array([3, 2]), np.array([2, 1]), np.array([1, 0]))
    return [
        chain("avg pool", nir.AvgPool2d, example(2, 3, (3, 3), integers=True), uneven, shape=(2, 7, 8), dt=INTEGER_DT)
    ]


SPEC = Spec(
    **pooling.SHARED,
    node=nir.AvgPool2d,
    operation="mean pool",
    sends=ANALOG,
    integers=Integers(grows=pooling.pool_grows, quantise="average_pool"),
    cost=transparent("its factor 1/k² folds into the weights; the published models price no pooling", _unit),
    chip=pooling.refused("divides and rounds, which a synapse cannot; Run 'nirbridge quantize' first"),
    draws=(pooling.draw_of(nir.AvgPool2d),),
    examples=_examples,
    integer_examples=_integer_examples,
)
