"""NIR's Affine: y = W x + b over the last axis."""

from __future__ import annotations

from typing import Any

import nir

from nirbridge.primitives import matrix
from nirbridge.primitives.examples import INTEGER_DT, Dice, Draw, Example, chain, signed, weights, whole_numbers
from nirbridge.primitives.spec import Integers, Spec


def _draw(dice: Dice, shape: Any) -> nir.NIRNode:
    rows = int(dice.rng.integers(1, 6))
    return nir.Affine(dice.number((rows, shape[-1]), -3, 5, 0.25), dice.number((rows,), -2, 3, 0.5))


def _examples() -> list[Example]:
    twice = [nir.Affine(weights(4, 4), signed(4))] * 2
    return [
        chain("affine", nir.Affine, nir.Affine(weights(3, 4), signed(3)), shape=(4,)),
        chain("affine chain", nir.Affine, *twice, shape=(4,)),
    ]


def _integer_examples() -> list[Example]:
    node = nir.Affine(whole_numbers(3, 4), whole_numbers(3))
    return [chain("affine", nir.Affine, node, shape=(4,), dt=INTEGER_DT)]


SPEC = Spec(
    **matrix.SHARED,
    node=nir.Affine,
    integers=Integers(fields=("weight", "bias"), grows=matrix.matrix_grows, quantise="matrix"),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
