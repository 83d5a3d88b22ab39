"""NIR's Flatten."""

from __future__ import annotations

from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.primitives.examples import Draw, Example, chain, no_examples, weights
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.shaping import ShapeMismatchError, pairs, stated
from nirbridge.primitives.spec import (
    MOVES,
    PASSED,
    STATELESS,
    Bounds,
    Checks,
    Floats,
    Integers,
    Shown,
    Spec,
    transparent,
)


def _shape(node: nir.Flatten, shape: Shape) -> Shape:
    start, end = (d + (len(shape) if d < 0 else 0) for d in (*pairs(node.start_dim, 1), *pairs(node.end_dim, 1)))
    if not 0 <= start <= end < len(shape):
        raise ShapeMismatchError(f"dimensions {node.start_dim}..{node.end_dim} are not within input {shape}")
    return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


def _draw(dice: Any, shape: Shape) -> nir.NIRNode:
    return nir.Flatten({"input": np.array(shape)}, 0, -1)


def _examples() -> list[Example]:
    whole = nir.Flatten(None, 0, -1), nir.Linear(weights(3, 24))
    return [
        chain("flatten", nir.Flatten, *whole, shape=(2, 3, 4)),
        chain("flatten inner", nir.Flatten, nir.Flatten(None, 1, 2), shape=(2, 3, 4)),
    ]


SPEC = Spec(
    **STATELESS,
    node=nir.Flatten,
    shape=_shape,
    states=stated,
    operation="flatten",
    by_hand="it computes nothing",
    sends=PASSED,
    floats=Floats(),
    integers=Integers(quantise="flatten"),
    cost=transparent("renames positions, moves no data", lambda node, unit, shape: unit.reshape(shape)),
    chip=MOVES,
    shown=Shown(role="reshape", fields=("start_dim", "end_dim")),
    checks=Checks(bounds=lambda node, x, shape: Bounds(*(end.reshape(shape) for end in x))),
    draws=(Draw(_draw, axes=2), Draw(_draw, axes=3)),
    examples=_examples,
    integer_examples=no_examples,
)
