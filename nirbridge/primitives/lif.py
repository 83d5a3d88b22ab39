"""NIR's LIF: leaky integrate and fire, by forward Euler."""

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


def step(x, v, dt_over_tau, v_leak, r, v_threshold, v_reset):
    """v += dt/tau (v_leak - v + R x); a spike where v > v_threshold, then v = v_reset."""
    v = v + dt_over_tau * (v_leak - v + r * x)
    s = v > v_threshold
    return s, where(s, v_reset, v)


def step_subtracting(x, v, dt_over_tau, v_leak, r, v_threshold, amount):
    """The same; a spike takes ``amount`` off the membrane."""
    v = v + dt_over_tau * (v_leak - v + r * x)
    s = v > v_threshold
    return s, where(s, v - amount, v)


def _reaches(node: Any, x: Bounds) -> Any:
    return np.maximum(node.v_leak + times(node.r, x)[1], 0.0) > node.v_threshold


def _draw(dice: Any, shape: Any) -> nir.NIRNode:
    ends = ((1, 4), (-1, 2), (1, 4), (-2, 1))
    return nir.LIF(dice.tau(shape), *(dice.parameter(shape, low, high) for low, high in ends))


def _examples() -> list[Example]:
    one = nir.LIF(short_taus(5), positive(5), signed(5), positive(5, seed=8), signed(5, seed=9))
    scalar = nir.LIF(*(np.array(v) for v in (2.0**-9, 2.0, 0.25, 1.0, 0.0)))
    return [behind_weights("LIF", one), behind_weights("LIF scalar", scalar)]


def _integer_examples() -> list[Example]:
    theta, reset = whole_numbers(5, low=50, high=300, seed=4), whole_numbers(5, low=-30, high=30, seed=5)
    tau = leaky([1, 100, 2048, 4096, 7])
    return both_ranges("LIF", nir.LIF(tau, tau / INTEGER_DT, np.zeros(5), theta, reset))


SPEC = Spec(
    **core.shapes("tau", "r", "v_leak", "v_threshold", "v_reset"),
    node=nir.LIF,
    none_means={"v_reset": core.zero_reset},
    dynamics=Dynamics(
        step=step,
        state=("v",),
        derived={"dt_over_tau": core.share("tau")},
        subtracting=step_subtracting,
        leaks=(("tau", "r"),),
    ),
    sends=BINARY,
    fires=core.FIRES,
    floats=core.LEAKING,
    integers=Integers(
        against=core.leaky_against,
        form=core.leaky_form,
        fields=("v_threshold", "v_reset"),
        grows=core.unit_grows,
        quantise="leaky",
        unit=core.sends_unit,
    ),
    cost=core.spiking_cost(1, 1, "LIF"),
    chip=core.FIRING,
    shown=Shown(role="binary", fields=("tau", "v_threshold", "v_reset", "v_leak", "r")),
    checks=Checks(factors=("r",), reaches=_reaches),
    draws=(Draw(_draw),),
    examples=_examples,
    integer_examples=_integer_examples,
)
