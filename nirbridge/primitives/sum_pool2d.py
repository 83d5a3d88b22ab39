"""NIR's SumPool2d."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.primitives import pooling
from nirbridge.primitives.examples import INTEGER_DT, Example, chain
from nirbridge.primitives.spec import ANALOG, Chip, Integers, Spec, transparent


def _examples() -> list[Example]:
    two = np.array([2, 2])
    uneven = [np.array(v) for v in ((3, 2), (2, 1), (1, 0))]
    return [
        chain("sum pool", nir.SumPool2d, nir.SumPool2d(two, two, np.array([0, 0])), shape=(2, 6, 8)),
        chain("sum pool 3x2", nir.SumPool2d, nir.SumPool2d(*uneven), shape=(2, 7, 8)),
    ]


def _integer_examples() -> list[Example]:
    node = nir.SumPool2d(np.array([3, 2]), np.array([2, 1]), np.array([1, 0]))
    two = np.array([2, 2])
    both = nir.SumPool2d(two, two, 0 * two), nir.Flatten(None, 0, -1)
    return [
        chain("sum pool", nir.SumPool2d, node, shape=(2, 7, 8), dt=INTEGER_DT),
        chain("pools and flatten", (nir.SumPool2d, nir.Flatten), *both, shape=(2, 4, 4), dt=INTEGER_DT),
    ]


SPEC = Spec(
    **pooling.SHARED,
    node=nir.SumPool2d,
    operation="sum pool",
    sends=ANALOG,
    integers=Integers(grows=pooling.pool_grows, quantise="pool"),
    cost=transparent(
        "part of the address of an event, as in the published models, which price no pooling", pooling.channel_unit
    ),
    chip=Chip(place="wiring", wiring=pooling.pool_wiring),
    draws=(pooling.draw_of(nir.SumPool2d),),
    examples=_examples,
    integer_examples=_integer_examples,
)
