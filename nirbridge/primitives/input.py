"""NIR's Input."""

from __future__ import annotations

import nir

from nirbridge.primitives.examples import INTEGER_DT, chain
from nirbridge.primitives.shaping import as_it_comes, stated
from nirbridge.primitives.spec import DATA, HOST, STATELESS, Checks, Floats, Integers, Shown, Spec, boundary

SPEC = Spec(
    **STATELESS,
    node=nir.Input,
    shape=as_it_comes,
    states=stated,
    operation="identity",
    by_hand="it computes nothing",
    sends=DATA,
    floats=Floats(),
    integers=Integers(quantise="input"),
    cost=boundary("brings the data"),
    chip=HOST,
    shown=Shown(role="boundary"),
    checks=Checks(),
    draws=(),
    examples=lambda: [chain("input to output", (nir.Input, nir.Output), shape=(4,))],
    integer_examples=lambda: [chain("input to output", (nir.Input, nir.Output), shape=(4,), dt=INTEGER_DT)],
)
