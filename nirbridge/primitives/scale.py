"""NIR's Scale."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain, signed, whole_numbers
from nirbridge.primitives.magnitudes import largest, least, times
from nirbridge.primitives.shaping import by_parameters
from nirbridge.primitives.spec import ANALOG, STATELESS, Bounds, Checks, Chip, Cost, Floats, Integers, Shown, Spec


def _examples() -> list[Example]:
    return [
        chain("scale", nir.Scale, nir.Scale(signed(4)), shape=(4,)),
        chain("scale, scalar", nir.Scale, nir.Scale(np.array(0.5)), shape=(2, 4)),
    ]


def _integer_examples() -> list[Example]:
    both = nir.Scale(whole_numbers(4)), nir.Scale(np.array(-8))
    return [chain("scale", nir.Scale, *both, shape=(4,), dt=INTEGER_DT)]


def draw(dice: Any, shape: Any) -> nir.NIRNode:
    """A factor from -1 to 1.5."""
    return nir.Scale(dice.parameter(shape, -2, 4))


SPEC = Spec(
    **(STATELESS | by_parameters("scale")),
    node=nir.Scale,
    operation="scale",
    by_hand="one product without a state: a loop over steps would only cost time",
    sends=ANALOG,
    floats=Floats(least=lambda node, dt: least(node.scale)),
    integers=Integers(
        fields=("scale",),
        grows=lambda node, x: largest(node.scale) * x,
        quantise="scaling",
    ),
    cost=Cost(
        role="transparent",
        uncounted="one factor for each neuron, folded into the weights behind or before it",
        unit=lambda node, unit, shape: unit * np.abs(node.scale),
    ),
    chip=Chip(place="wiring"),
    shown=Shown(role="reshape", fields=("scale",)),
    checks=Checks(factors=("scale",), bounds=lambda node, x, shape: Bounds(*times(node.scale, x))),
    draws=(Draw(draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
