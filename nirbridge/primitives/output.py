"""NIR's Output."""

from __future__ import annotations

import nir

from nirbridge.primitives.examples import no_examples
from nirbridge.primitives.shaping import as_it_comes, stated
from nirbridge.primitives.spec import HOST, PASSED, STATELESS, Bounds, Checks, Floats, Integers, Shown, Spec, boundary

SPEC = Spec(
    **STATELESS,
    node=nir.Output,
    shape=as_it_comes,
    states=stated,
    operation="identity",
    by_hand="it computes nothing",
    sends=PASSED,
    floats=Floats(),
    integers=Integers(quantise="output"),
    cost=boundary("hands the result over"),
    chip=HOST,
    shown=Shown(role="boundary"),
    checks=Checks(bounds=lambda node, x, shape: Bounds(*(end.reshape(shape) for end in x))),
    draws=(),
    examples=no_examples,
    integer_examples=no_examples,
)
