"""NIR's Conv2d."""

from __future__ import annotations

import nir

from nirbridge.primitives.convolution import SHARED, draw, example
from nirbridge.primitives.examples import INTEGER_DT, Draw, Example, chain
from nirbridge.primitives.spec import Spec


def _examples() -> list[Example]:
    variants = {
        "conv2d": (example(2, 3, (3, 3)), (2, 7, 6)),
        "conv2d 3x2": (example(2, 3, (3, 2), (2, 1), (1, 0), (1, 2)), (2, 7, 8)),
        "conv2d groups": (example(4, 6, (2, 3), 1, 1, 1, groups=2), (4, 6, 7)),
        "conv2d depthwise": (example(4, 4, (3, 3), 2, 1, 1, groups=4), (4, 6, 7)),
        "conv2d same": (example(2, 3, (2, 3), 1, "same", (2, 1)), (2, 6, 7)),
    }
    return [chain(name, nir.Conv2d, node, shape=shape) for name, (node, shape) in variants.items()]


def _integer_examples() -> list[Example]:
    strided = example(2, 3, (3, 2), (2, 1), (1, 0), (1, 2), integers=True)
    depthwise = example(4, 4, (3, 3), 1, "same", 1, groups=4, integers=True)
    return [
        chain("conv2d", nir.Conv2d, strided, shape=(2, 7, 8), dt=INTEGER_DT),
        chain("conv2d depthwise", nir.Conv2d, depthwise, shape=(4, 6, 7), dt=INTEGER_DT),
    ]


SPEC = Spec(
    **SHARED,
    node=nir.Conv2d,
    draws=(Draw(draw, times=2, axes=3),),
    examples=_examples,
    integer_examples=_integer_examples,
)
