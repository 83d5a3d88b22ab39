"""NIR's Input."""

from __future__ import annotations

import nir

from nirbridge.primitives.examples import INTEGER_DT, chain
from nirbridge.primitives.integers import fine, same_bound
from nirbridge.primitives.shaping import as_it_comes, stated
from nirbridge.primitives.spec import DATA, HOST, NOTHING_TO_CHECK, PLAIN, Integers, Shown, Spec, boundary

SPEC = Spec(
    node=nir.Input,
    parameters=(),
    none_means={},
    shape=as_it_comes,
    states=stated,
    operation="identity",
    by_hand="it computes nothing",
    dynamics=None,
    sends=DATA,
    window=None,
    floats=PLAIN,
    integers=Integers(against=fine, form=None, fields=(), grows=same_bound, quantise="input", unit=None),
    cost=boundary("brings the data"),
    chip=HOST,
    shown=Shown(role="boundary", fields=()),
    checks=NOTHING_TO_CHECK,
    draws=(),
    examples=lambda: [chain("input to output", (nir.Input, nir.Output), shape=(4,))],
    integer_examples=lambda: [chain("input to output", (nir.Input, nir.Output), shape=(4,), dt=INTEGER_DT)],
)
