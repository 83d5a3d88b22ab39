"""NIR's Threshold."""

from __future__ import annotations

import nir

from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import Draw, behind_integers, behind_weights, signed, whole_numbers
from nirbridge.primitives.shaping import by_parameters
from nirbridge.primitives.spec import BINARY, POPULATION, STATELESS, Checks, Floats, Integers, Shown, Spec

SPEC = Spec(
    **(STATELESS | by_parameters("threshold")),
    node=nir.Threshold,
    operation="threshold",
    by_hand="one comparison without a state: a loop over steps would only cost time",
    sends=BINARY,
    floats=Floats(),
    integers=Integers(fields=("threshold",), quantise="threshold", unit=core.sends_unit),
    cost=core.spiking_cost(0, 0, "Threshold"),
    chip=POPULATION,
    shown=Shown(role="binary", fields=("threshold",)),
    checks=Checks(reaches=lambda node, x: x.high > node.threshold),
    draws=(Draw(lambda dice, shape: nir.Threshold(dice.parameter(shape, -2, 4))),),
    examples=lambda: [behind_weights("Threshold", nir.Threshold(signed(5)))],
    integer_examples=lambda: [behind_integers("threshold", nir.Threshold(whole_numbers(5)))],
)
