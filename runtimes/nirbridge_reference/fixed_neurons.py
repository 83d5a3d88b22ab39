"""One step of every neuron in precision "fixed", as pure functions of int64 [B, *shape]: docs/fixed_point.md."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.checking.fixed_point import DECAY_ONE, STATE_LIMIT, leak_steps, whole
from nirbridge.ir import MultiLevelLIF
from nirbridge.runtime import Array
from nirbridge_reference.neurons import Amount

Step = tuple[Array, Array]
TwoStates = tuple[Array, Array]


def clip(state: Array) -> Array:
    """A state has 24 bits and stays at its end: ±(2^23 - 1)."""
    return np.clip(state, -STATE_LIMIT, STATE_LIMIT)


def decayed(state: Array, steps: Array) -> Array:
    """tz(state·steps): state·steps/4096, rounded toward zero."""
    return toward_zero(state * steps, DECAY_ONE)


def toward_zero(value: Array, divisor: int) -> Array:
    """value/divisor, rounded toward zero."""
    return np.sign(value) * (np.abs(value) // divisor)


def integrator(node: nir.I, x: Array, v: Array, dt: float) -> Step:
    """v = clip(v + R x)."""
    v = clip(v + whole(node.r) * x)
    return v, v


def integrate_and_fire(node: nir.IF, x: Array, v: Array, dt: float, amount: Amount = None) -> Step:
    """v = clip(v + R x); a spike where v > v_threshold, then v = v_reset, or v = clip(v - amount)."""
    return _fire(node, clip(v + whole(node.r) * x), amount)


def leaky_integrator(node: nir.LI, x: Array, v: Array, dt: float) -> Step:
    """v = clip(tz(v·k) + x), k = 4096 - round(4096·dt/tau)."""
    v = clip(decayed(v, _kept(dt, node.tau)) + x)
    return v, v


def leaky_integrate_and_fire(node: nir.LIF, x: Array, v: Array, dt: float, amount: Amount = None) -> Step:
    """As LI; a spike as in :func:`integrate_and_fire`."""
    return _fire(node, clip(decayed(v, _kept(dt, node.tau)) + x), amount)


def current_leaky_integrator(node: nir.CubaLI, x: Array, state: TwoStates, dt: float) -> tuple[Array, TwoStates]:
    """i = clip(tz(i·k_syn) + x), then v = clip(tz(v·k_mem) + i)."""
    i, v = _synapse_and_membrane(node, x, state, dt)
    return v, (i, v)


def current_leaky_integrate_and_fire(
    node: nir.CubaLIF, x: Array, state: TwoStates, dt: float, amount: Amount = None
) -> tuple[Array, TwoStates]:
    """As CubaLI; a spike as in :func:`integrate_and_fire`."""
    i, v = _synapse_and_membrane(node, x, state, dt)
    spikes, v = _fire(node, v, amount)
    return spikes, (i, v)


def multi_level(node: MultiLevelLIF, x: Array, v: Array, dt: float) -> Step:
    """u = clip(tz(v·k) + gain x), k = 4096 decay; lanes, reset and output as in "float"."""
    u = clip(decayed(v, whole(DECAY_ONE * np.asarray(node.decay))) + whole(node.gain) * x)
    y = np.zeros_like(u)
    v = u.copy()
    for lane in range(node.lanes):
        theta, weight, amount = (
            whole(field[lane]) for field in (node.lane_threshold, node.lane_weight, node.lane_reset)
        )
        fires = u >= theta if node.boundary == ">=" else u > theta
        y = np.where(fires, weight, y)
        v = np.where(fires, u - amount if node.reset == "subtract" else whole(node.v_reset), v)
    return y, clip(v)


def _fire(node: nir.IF | nir.LIF | nir.CubaLIF, v: Array, amount: Amount) -> Step:
    spikes = v > whole(node.v_threshold)
    after = whole(node.v_reset) if amount is None else clip(v - whole(amount))
    return spikes.astype(np.int64), np.where(spikes, after, v)


def _synapse_and_membrane(node: nir.CubaLI | nir.CubaLIF, x: Array, state: TwoStates, dt: float) -> TwoStates:
    i, v = state
    i = clip(decayed(i, _kept(dt, node.tau_syn)) + x)
    return i, clip(decayed(v, _kept(dt, node.tau_mem)) + i)


def _kept(dt: float, tau: Any) -> Array:
    return DECAY_ONE - leak_steps(dt, tau)
