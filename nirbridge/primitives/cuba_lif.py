"""NIR's CubaLIF: leaky integrate and fire behind a leaky synapse, by forward Euler."""

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
    whole_numbers,
)
from nirbridge.primitives.magnitudes import times
from nirbridge.primitives.operators import where
from nirbridge.primitives.spec import BINARY, Bounds, Checks, Dynamics, Integers, Shown, Spec


def step(x, i, v, dt_over_tau_syn, w_in, dt_over_tau_mem, v_leak, r, v_threshold, v_reset):
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); above v_threshold a spike, v = v_reset."""
    i = i + dt_over_tau_syn * (w_in * x - i)
    v = v + dt_over_tau_mem * (v_leak - v + r * i)
    s = v > v_threshold
    return s, i, where(s, v_reset, v)


def step_subtracting(x, i, v, dt_over_tau_syn, w_in, dt_over_tau_mem, v_leak, r, v_threshold, amount):
    """The same; a spike takes ``amount`` off the membrane."""
    i = i + dt_over_tau_syn * (w_in * x - i)
    v = v + dt_over_tau_mem * (v_leak - v + r * i)
    s = v > v_threshold
    return s, i, where(s, v - amount, v)


def _reaches(node: Any, x: Bounds) -> Any:
    low, high = times(node.w_in, x)
    current = Bounds(np.minimum(low, 0.0), np.maximum(high, 0.0))
    return np.maximum(node.v_leak + times(node.r, current)[1], 0.0) > node.v_threshold


def _draw(dice: Any, shape: Any) -> nir.NIRNode:
    ends = ((1, 4), (-1, 2), (1, 4), (-2, 1), (1, 3))
    return nir.CubaLIF(dice.tau(shape), dice.tau(shape), *(dice.parameter(shape, low, high) for low, high in ends))


def _examples() -> list[Example]:
    taus = short_taus(5), short_taus(5, seed=7)
    fields = positive(5), signed(5), positive(5, seed=8), signed(5, seed=9), positive(5, seed=3)
    return [behind_weights("CubaLIF", nir.CubaLIF(*taus, *fields))]


def _integer_examples() -> list[Example]:
    theta, reset = whole_numbers(5, low=50, high=300, seed=4), whole_numbers(5, low=-30, high=30, seed=5)
    slow, mixed = leaky([1, 100, 2048, 4096, 7]), leaky([512, 1024, 1, 4096, 4000])
    fields = slow / INTEGER_DT, np.zeros(5), theta, reset, mixed / INTEGER_DT
    return both_ranges("CubaLIF", nir.CubaLIF(mixed, slow, *fields))


SPEC = Spec(
    **core.shapes("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    node=nir.CubaLIF,
    none_means={"v_reset": core.zero_reset, "w_in": lambda node: np.ones_like(node.r)},
    dynamics=Dynamics(
        step=step,
        state=("i", "v"),
        derived={"dt_over_tau_syn": core.share("tau_syn"), "dt_over_tau_mem": core.share("tau_mem")},
        subtracting=step_subtracting,
        leaks=(("tau_syn", "w_in"), ("tau_mem", "r")),
    ),
    sends=BINARY,
    fires=core.FIRES,
    floats=core.WITH_SYNAPSE,
    integers=Integers(
        against=core.synapse_against,
        form=core.synapse_form,
        fields=("v_threshold", "v_reset"),
        grows=core.unit_grows,
        quantise="with_synapse",
        unit=core.sends_unit,
    ),
    cost=core.spiking_cost(2, 2, "CubaLIF"),
    chip=core.FIRING,
    shown=Shown(role="binary", fields=("tau_syn", "tau_mem", "v_threshold", "v_reset", "v_leak", "r", "w_in")),
    checks=Checks(factors=("r", "w_in"), reaches=_reaches),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
