"""NIR's CubaLI: a leaky integrator behind a leaky synapse, by forward Euler."""

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


def step(x, i, v, dt_over_tau_syn, w_in, dt_over_tau_mem, v_leak, r):
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); the output is v."""
    i = i + dt_over_tau_syn * (w_in * x - i)
    v = v + dt_over_tau_mem * (v_leak - v + r * i)
    return v, i, v


def _draw(dice: Any, shape: Any) -> nir.NIRNode:
    ends = ((1, 4), (-1, 2), (1, 3))
    return nir.CubaLI(dice.tau(shape), dice.tau(shape), *(dice.parameter(shape, low, high) for low, high in ends))


def _examples() -> list[Example]:
    node = nir.CubaLI(short_taus(5), short_taus(5, seed=7), positive(5), signed(5), positive(5, seed=8))
    return [behind_weights("CubaLI", node)]


def _integer_examples() -> list[Example]:
    slow, mixed = leaky([1, 100, 2048, 4096, 7]), leaky([512, 1024, 1, 4096, 4000])
    return both_ranges("CubaLI", nir.CubaLI(slow, mixed, mixed / INTEGER_DT, np.zeros(5), slow / INTEGER_DT))


SPEC = Spec(
    **core.shapes("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    node=nir.CubaLI,
    none_means={"w_in": lambda node: np.ones_like(node.v_leak)},
    dynamics=Dynamics(
        step=step,
        state=("i", "v"),
        derived={"dt_over_tau_syn": core.share("tau_syn"), "dt_over_tau_mem": core.share("tau_mem")},
        leaks=(("tau_syn", "w_in"), ("tau_mem", "r")),
    ),
    sends=MEMBRANE,
    fires=None,
    floats=core.WITH_SYNAPSE,
    integers=Integers(
        against=core.synapse_against, form=core.synapse_form, grows=core.unit_grows, quantise="with_synapse"
    ),
    cost=core.analog_cost(2, 2),
    chip=POPULATION,
    shown=Shown(role="analog", fields=("tau_syn", "tau_mem", "v_leak", "r", "w_in")),
    checks=Checks(factors=("r", "w_in")),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
