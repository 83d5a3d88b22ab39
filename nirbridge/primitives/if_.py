"""NIR's IF: integrate and fire; it counts steps, not seconds."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.primitives import core_neurons as core
from nirbridge.primitives.examples import Draw, Example, behind_weights, both_ranges, positive, signed, whole_numbers
from nirbridge.primitives.magnitudes import times
from nirbridge.primitives.operators import where
from nirbridge.primitives.spec import BINARY, Bounds, Checks, Dynamics, Integers, Shown, Spec


def step(x, v, r, v_threshold, v_reset):
    """v += R x; a spike where v > v_threshold, then v = v_reset."""
    v = v + r * x
    s = v > v_threshold
    return s, where(s, v_reset, v)


def step_subtracting(x, v, r, v_threshold, amount):
    """The same; a spike takes ``amount`` off the membrane."""
    v = v + r * x
    s = v > v_threshold
    return s, where(s, v - amount, v)


def _reaches(node: Any, x: Bounds) -> Any:
    return (times(node.r, x)[1] > 0) | (np.asarray(node.v_threshold) < 0)


def _draw(dice: Any, shape: Any) -> nir.NIRNode:
    return nir.IF(dice.parameter(shape, 1, 3), dice.parameter(shape, 1, 6), dice.parameter(shape, -2, 1))


def _integer_examples() -> list[Example]:
    theta, reset = whole_numbers(5, low=50, high=300, seed=4), whole_numbers(5, low=-30, high=30, seed=5)
    return both_ranges("IF", nir.IF(2 * np.ones(5), theta, reset))


SPEC = Spec(
    **core.shapes("r", "v_threshold", "v_reset"),
    node=nir.IF,
    none_means={"v_reset": core.zero_reset},
    dynamics=Dynamics(step=step, state=("v",), subtracting=step_subtracting),
    sends=BINARY,
    fires=core.FIRES,
    floats=core.INTEGRATING,
    integers=Integers(
        against=core.integrator_against,
        form=core.integrator_form,
        fields=("v_threshold", "v_reset"),
        grows=core.neuron_grows("r"),
        quantise="integrate_and_fire",
        unit=core.sends_unit,
    ),
    cost=core.spiking_cost(1, 0, "IF"),
    chip=core.FIRING,
    shown=Shown(role="binary", fields=("v_threshold", "v_reset", "r")),
    checks=Checks(factors=("r",), reaches=_reaches),
    draws=(Draw(_draw),),
    examples=lambda: [behind_weights("IF", nir.IF(positive(5), positive(5, seed=8), signed(5)))],
    integer_examples=_integer_examples,
)
