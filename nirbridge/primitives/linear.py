"""NIR's Linear: y = W x over the last axis."""

from __future__ import annotations

from typing import Any

import nir

from nirbridge.primitives import matrix
from nirbridge.primitives.examples import INTEGER_DT, Dice, Draw, Example, chain, weights, whole_numbers
from nirbridge.primitives.spec import Integers, Spec


def _draw(dice: Dice, shape: Any) -> nir.NIRNode:
    return nir.Linear(dice.number((int(dice.rng.integers(1, 6)), shape[-1]), -3, 5, 0.25))


def _examples() -> list[Example]:
    return [
        chain("linear", nir.Linear, nir.Linear(weights(3, 4)), shape=(4,)),
        chain("linear, last axis", nir.Linear, nir.Linear(weights(3, 4)), shape=(2, 4)),
    ]


def _integer_examples() -> list[Example]:
    node = nir.Linear(whole_numbers(3, 4))
    return [chain("linear", nir.Linear, node, shape=(2, 4), dt=INTEGER_DT)]


SPEC = Spec(
    **matrix.SHARED,
    node=nir.Linear,
    integers=Integers(fields=("weight",), grows=matrix.matrix_grows, quantise="matrix"),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
