"""What the phase codes share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from nirbridge.errors import GraphError
from nirbridge.primitives.integers import STATE_LIMIT, clip, toward_zero
from nirbridge.primitives.magnitudes import largest
from nirbridge.primitives.operators import where
from nirbridge.primitives.phase_tables import Factor
from nirbridge.primitives.shaping import declared, stated
from nirbridge.primitives.spec import Checks, Membrane

PHASES = 4
"""Phases of the windows of random graphs."""

SHARED: dict[str, Any] = {
    "parameters": (),
    "none_means": {},
    "shape": declared,
    "states": stated,
    "operation": "window",
    "by_hand": "",
    "dynamics": None,
    "checks": Checks(),
}
"""The fields that are those of every phase code."""


def phase_base(where: str, name: str, value: Any) -> float:
    """The base of a code, above 1."""
    base = float(value)
    if not (np.isfinite(base) and base > 1):
        raise GraphError(where, f"{name} {base} is not above 1")
    return base


def phase_grows(gains: tuple[Factor, ...], x: int) -> int:
    """A product before its shift, or the state with what the shift leaves of it."""
    return STATE_LIMIT + max(gain.multiplier for gain in gains) * x


def state_bound(node: Any, x: int, dt: float, taken: int) -> int:
    """Phases weigh at most 1 each; the sums themselves are in double precision."""
    return node.phases * x + largest(node.v_init)


def shifted(base: float) -> Membrane:
    """One state; a multiplication by the base, where that is no shift."""
    return Membrane(1, int(base != 2.0))


def digits(rest: Any, values: Sequence[Any]) -> tuple[list[Any], None]:
    """At each phase a spike where rest >= value, which is then taken off."""
    sent = []
    for value in values:
        fires = rest >= value
        rest = where(fires, rest - value, rest)
        sent.append(fires)
    return sent, None


def integer_sums(frames: Sequence[Any], start: Any, gains: Sequence[Factor]) -> list[Any]:
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])), after each phase."""
    v, states = start, []
    for gain, frame in zip(gains, frames, strict=True):
        v = clip(v + toward_zero(frame * gain.multiplier, gain.shift))
        states.append(v)
    return states


def none_sent(state: Any, spikes: int) -> list[Any]:
    """What :func:`decide` takes before the first phase, for windows of at most ``spikes`` spikes."""
    return [state == state] * spikes


def decide(state: Any, left: list[Any], limits: Sequence[tuple[int, Any]]) -> tuple[Any, list[Any]]:
    """Who fires at a phase, and what it leaves them.

    Args:
        state: the membranes.
        left: ``left[j]`` says of each neuron whether it has more than j spikes left.
        limits: (spikes left, what the membrane must reach with at least so many left), from 1 spike on upward.
    """
    # Operators of bits: on tensors "where" takes twenty times as long.
    (_, limit), *higher = limits
    fires = left[0] & (state >= limit)
    for least, limit in higher:
        many = left[least - 1]
        fires = (many & (state >= limit)) | (fires & ~many)
    silent = ~fires
    return fires, [*(less | (more & silent) for more, less in pairwise(left)), left[-1] & silent]
