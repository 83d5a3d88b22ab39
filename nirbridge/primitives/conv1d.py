"""NIR's Conv1d."""

from __future__ import annotations

import nir

from nirbridge.primitives.convolution import SHARED, draw, example
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain
from nirbridge.primitives.spec import Spec


def _examples() -> list[Example]:
    variants = {"conv1d": (1, 0, 1, 1), "conv1d wide": (2, 1, 2, 2), "conv1d same": (1, "same", 2, 1)}
    return [
        chain(name, nir.Conv1d, example(4, 6, (3,), *rest, groups=groups), shape=(4, 9))
        for name, (*rest, groups) in variants.items()
    ]


def _integer_examples() -> list[Example]:
    node = example(4, 6, (3,), 2, 1, 2, groups=2, integers=True)
    return [chain("conv1d", nir.Conv1d, node, shape=(4, 9), dt=INTEGER_DT)]


SPEC = Spec(
    **SHARED, node=nir.Conv1d, draws=(Draw(draw, axes=2),), examples=_examples, integer_examples=_integer_examples
)
