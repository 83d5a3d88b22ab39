"""NIR's I: an integrator, which counts steps, not seconds."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import Draw, behind_weights, both_ranges, positive
from nirbridge.primitives.spec import MEMBRANE, POPULATION, Checks, Dynamics, Integers, Shown, Spec


def step(x, v, r):
    """v += R x, per step; the output is v."""
    v = v + r * x
    return v, v


SPEC = Spec(
    **core.shapes("r"),
    node=nir.I,
    none_means={},
    dynamics=Dynamics(step=step, state=("v",)),
    sends=MEMBRANE,
    fires=None,
    floats=core.INTEGRATING,
    integers=Integers(
        against=core.integrator_against, form=core.integrator_form, grows=core.neuron_grows("r"), quantise="integrator"
    ),
    cost=core.analog_cost(1, 0),
    chip=POPULATION,
    shown=Shown(role="analog", fields=("r",)),
    checks=Checks(factors=("r",)),
    draws=(Draw(lambda dice, shape: nir.I(dice.parameter(shape, 1, 3))),),
    examples=lambda: [behind_weights("I", nir.I(positive(5)))],
    integer_examples=lambda: both_ranges("I", nir.I(2 * np.ones(5))),
)
