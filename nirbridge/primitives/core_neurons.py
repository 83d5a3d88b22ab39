"""What NIR's own neurons share: integer forms, bounds and reach of membranes without, with one and with two leaks."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.primitives.integers import (
    STATE_LIMIT,
    IntegerForm,
    Reasons,
    kept,
    leak_fits,
    no_rest,
    unit_gain,
    whole,
    whole_fields,
)
from nirbridge.primitives.magnitudes import MOST_STEPS, largest, least
from nirbridge.primitives.shaping import by_parameters
from nirbridge.primitives.spec import Array, Chip, Cost, Fires, Floats, Membrane

_ZERO = np.zeros((), np.int64)


def shapes(*parameters: str) -> dict[str, Any]:
    """The fields of a neuron that states its step, with parameters which broadcast to the shape that arrives."""
    return {**by_parameters(*parameters), "window": None, "operation": "step", "by_hand": ""}


def zero_reset(node: Any) -> Array:
    """What NIR's constructor takes for a v_reset that is left out."""
    return np.zeros_like(node.v_threshold)


def resets_elsewhere(node: Any) -> str:
    """What the fixed neuron of an older chip has not: a reset to another value than 0."""
    return "resets to another value than 0" if np.any(node.v_reset) else ""


FIRING = Chip(place="population", fixed=resets_elsewhere)
"""A neuron on the chip that fires."""


def spiking_cost(states: int, multiplies: int, family: str) -> Cost:
    """A binary neuron."""
    membrane = Membrane(states, multiplies)
    return Cost(role="spiking neuron", membrane=lambda node: membrane, family=lambda node, mixing: family)


def analog_cost(states: int, multiplies: int) -> Cost:
    """A neuron that sends its membrane."""
    membrane = Membrane(states, multiplies)
    return Cost(role="analog neuron", membrane=lambda node: membrane)


def sends_unit(node: Any) -> Array:
    """The integer 1 stands for a spike."""
    return np.ones(())


def neuron_grows(factor: str) -> Any:
    """|state| + |factor x|; the decay is at most 2."""
    return lambda node, x: 2 * STATE_LIMIT + largest(getattr(node, factor)) * x


def unit_grows(node: Any, x: int) -> int:
    """|state| + |x|."""
    return STATE_LIMIT + x


def firing_against(node: Any) -> Reasons:
    """Why thresholds and resets are no integers of the state."""
    if hasattr(node, "v_threshold"):
        yield from whole_fields(node, "v_threshold")
        yield from whole_fields(node, "v_reset", limit=STATE_LIMIT)


def integrator_against(node: Any, dt: float) -> Reasons:
    """Why a membrane without a leak has no integer form."""
    yield from whole_fields(node, "r")
    yield from firing_against(node)


def leaky_against(node: Any, dt: float) -> Reasons:
    """Why a membrane with one leak has no integer form."""
    yield from leak_fits(node, "tau", dt)
    yield from unit_gain(node, "r", "tau", dt)
    yield from no_rest(node)
    yield from firing_against(node)


def synapse_against(node: Any, dt: float) -> Reasons:
    """Why a synapse and a membrane have none."""
    yield from leak_fits(node, "tau_syn", dt)
    yield from leak_fits(node, "tau_mem", dt)
    yield from unit_gain(node, "w_in", "tau_syn", dt)
    yield from unit_gain(node, "r", "tau_mem", dt)
    yield from no_rest(node)
    yield from firing_against(node)


def _form(node: Any, keep: Any, gain: Any, **more: Any) -> IntegerForm:
    lane: dict[str, Any] = {"v_reset": _ZERO}
    if hasattr(node, "v_threshold"):
        one = np.ones(1, np.int64)
        lane = {"v_reset": whole(node.v_reset), "threshold": whole(node.v_threshold)[None]}
        lane |= {"weight": one, "amount": 0 * one}
    return IntegerForm(keep=keep, gain=whole(gain), v_init=_ZERO, **lane, **more)


def integrator_form(node: Any, dt: float) -> IntegerForm:
    """v = clip(v + R x)."""
    return _form(node, whole(4096), node.r)


def leaky_form(node: Any, dt: float) -> IntegerForm:
    """v = clip(tz(v·k) + x), k = 4096 - round(4096·dt/tau)."""
    return _form(node, kept(dt, node.tau), 1)


def synapse_form(node: Any, dt: float) -> IntegerForm:
    """i = clip(tz(i·k_syn) + x), then v = clip(tz(v·k_mem) + i)."""
    return _form(node, kept(dt, node.tau_mem), 1, keep_current=kept(dt, node.tau_syn))


def _after(node: Any) -> int:
    return largest(getattr(node, "v_reset", 0))


def _without_leak(node: Any, x: int, dt: float, taken: int) -> int:
    return MOST_STEPS * (largest(node.r) * x + taken) + _after(node)


def _reach(dt: float, tau: Any) -> int | None:
    """How far beyond its target a leaky state can come: with dt/tau <= 1 not at all, above 2 without a bound."""
    share = np.max(dt / np.asarray(tau, dtype=np.float64), initial=0.0)
    return 1 if share <= 1 else 2 * MOST_STEPS if share <= 2 else None


def _membrane(node: Any, reach: int, x: int, taken: int) -> int:
    return reach * (largest(node.v_leak) + largest(node.r) * x) + MOST_STEPS * taken + _after(node)


def _leaky(node: Any, x: int, dt: float, taken: int) -> int | None:
    reach = _reach(dt, node.tau)
    return None if reach is None else _membrane(node, reach, x, taken)


def _with_synapse(node: Any, x: int, dt: float, taken: int) -> int | None:
    first, second = _reach(dt, node.tau_syn), _reach(dt, node.tau_mem)
    if first is None or second is None:
        return None
    current = first * largest(node.w_in) * x
    return max(current, _membrane(node, second, current, taken))


def _leak_factor(node: Any, dt: float) -> float:
    return least(dt / np.asarray(node.tau, dtype=np.float64) * node.r)


def _two_factors(node: Any, dt: float) -> float:
    synapse = dt / np.asarray(node.tau_syn, dtype=np.float64) * node.w_in
    return least(synapse) * least(dt / np.asarray(node.tau_mem, dtype=np.float64) * node.r)


FIRES = Fires(thresholds=lambda node: [node.v_threshold], reset=lambda node: node.v_reset)
INTEGRATING = Floats(least=lambda node, dt: least(node.r), reaches=_without_leak)
LEAKING = Floats(least=_leak_factor, reaches=_leaky)
WITH_SYNAPSE = Floats(least=_two_factors, reaches=_with_synapse)


def share(tau: str) -> Any:
    """dt/tau, divided in double precision."""
    return lambda node, dt: dt / getattr(node, tau)
