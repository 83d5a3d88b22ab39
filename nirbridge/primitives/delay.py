"""NIR's Delay, and delays in whole steps: one rounding for every runtime, rule and chip."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.examples import DYADIC_DT, INTEGER_DT, Draw, Example, behind_weights, chain
from nirbridge.primitives.shaping import by_parameters
from nirbridge.primitives.spec import MOVES, PASSED, STATELESS, Checks, Floats, Integers, Shown, Spec, transparent

CLOSE = 2.0**-22
"""Part of itself by which a number of steps counts as a whole or half one: float32 delays are exact to 2^-24 of
themselves, and so is a step; a sum or product of two of them to a few times that."""
_LARGEST = 2.0**62
"""Steps that int64 holds."""


def delay_steps(delay: Any, dt: float) -> NDArray[np.int64]:
    """Each delay in whole steps: ``floor(delay/dt + 1/2)``, half steps up.

    0.3, 0.5, 1.4, 1.5 and 2.5 steps are 0, 1, 1, 2 and 3.  What lies below a half by no more than :data:`CLOSE` of
    itself counts as the half, so that 0.0025 s is 3 steps of 1 ms however the two were rounded before.

    Args:
        delay: seconds, at least 0.
        dt: seconds per step.
    """
    steps = steps_asked(delay, dt)
    return np.floor(np.minimum(steps + 0.5 + _slack(steps), _LARGEST)).astype(np.int64)


def delayed(steps: NDArray[np.int64], x: NDArray[Any], line: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """y(t) = x(t - steps), each neuron by its own number, and the line; its row k holds x(t - 1 - k), 0 at first.

    Args:
        steps: [*shape].
        x: [B, *shape].
        line: [most steps, B, *shape].
    """
    past = np.concatenate([x[None], line])
    return np.take_along_axis(past, steps[None, None], axis=0)[0], past[:-1]


def steps_asked(delay: Any, dt: float) -> NDArray[np.float64]:
    """Each delay in steps, whole or not."""
    with np.errstate(over="ignore"):
        return np.asarray(delay, dtype=np.float64) / dt


def is_whole(steps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which numbers of steps are whole, up to :data:`CLOSE` of themselves."""
    return np.asarray(np.abs(steps - np.rint(steps)) <= _slack(steps))


def _slack(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Below a quarter of a step, so that a whole number of steps stays what it is."""
    return np.minimum(CLOSE * steps, 0.25)


def _integer_examples() -> list[Example]:
    node = nir.Delay(np.array([0, 1, 2, 5, 30]) * INTEGER_DT)
    return [chain("delay", nir.Delay, node, shape=(5,), dt=INTEGER_DT)]


SPEC = Spec(
    **(STATELESS | by_parameters("delay")),
    node=nir.Delay,
    operation="delay",
    by_hand="a line of past steps, as long as the longest delay: no step function holds a state of unknown length",
    sends=PASSED,
    floats=Floats(),
    integers=Integers(quantise="same"),
    cost=transparent(
        "keeps events in a queue of their own, which no model has a price for", lambda node, unit, shape: unit
    ),
    chip=MOVES,
    shown=Shown(role="time", fields=("delay",)),
    checks=Checks(seconds=("delay",)),
    draws=(Draw(lambda dice, shape: nir.Delay(dice.parameter(shape, 0, 4, DYADIC_DT))),),
    examples=lambda: [behind_weights("Delay", nir.Delay(np.array([0, 1, 2, 5, 30]) * DYADIC_DT))],
    integer_examples=_integer_examples,
)
