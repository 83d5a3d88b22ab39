"""NIR's LI: a leaky integrator, by forward Euler."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import (
    INTEGER_DT,
    Draw,
    Example,
    behind_weights,
    both_ranges,
    leaky,
    positive,
    short_taus,
    signed,
)
from nirbridge.primitives.spec import MEMBRANE, POPULATION, Checks, Dynamics, Integers, Shown, Spec


def step(x, v, dt_over_tau, v_leak, r):
    """v += dt/tau (v_leak - v + R x); the output is v."""
    v = v + dt_over_tau * (v_leak - v + r * x)
    return v, v


def _draw(dice: Any, shape: Any) -> nir.NIRNode:
    return nir.LI(dice.tau(shape), dice.parameter(shape, 1, 4), dice.parameter(shape, -1, 2))


def _integer_examples() -> list[Example]:
    tau = leaky([512, 1024, 1, 4096, 4000])
    return both_ranges("LI", nir.LI(tau, tau / INTEGER_DT, np.zeros(5)))


SPEC = Spec(
    **core.shapes("tau", "r", "v_leak"),
    node=nir.LI,
    none_means={},
    dynamics=Dynamics(step=step, state=("v",), derived={"dt_over_tau": core.share("tau")}, leaks=(("tau", "r"),)),
    sends=MEMBRANE,
    fires=None,
    floats=core.LEAKING,
    integers=Integers(against=core.leaky_against, form=core.leaky_form, grows=core.unit_grows, quantise="leaky"),
    cost=core.analog_cost(1, 1),
    chip=POPULATION,
    shown=Shown(role="analog", fields=("tau", "v_leak", "r")),
    checks=Checks(factors=("r",)),
    draws=(Draw(_draw),),
    examples=lambda: [behind_weights("LI", nir.LI(short_taus(5), positive(5), signed(5)))],
    integer_examples=_integer_examples,
)
