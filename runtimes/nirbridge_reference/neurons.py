"""One step of every neuron, as pure functions of input and state; all arrays are float64 [B, *shape]."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.ir import MultiLevelLIF
from nirbridge.runtime import Array

Step = tuple[Array, Array]
TwoStates = tuple[Array, Array]
Amount = Array | None
"""What a spike takes off the membrane; None where it sets v_reset."""


def threshold(node: nir.Threshold, x: Array) -> Array:
    """y = 1 where x > threshold."""
    return (x > node.threshold).astype(x.dtype)


def integrator(node: nir.I, x: Array, v: Array) -> Step:
    """v += R x, per step: NIR's integrators count steps, not seconds."""
    v = v + node.r * x
    return v, v


def integrate_and_fire(node: nir.IF, x: Array, v: Array, amount: Amount = None) -> Step:
    """v += R x; a spike where v > v_threshold, then v = v_reset, or v -= amount."""
    return _fire(node, v + node.r * x, amount)


def leaky_integrator(node: nir.LI, x: Array, v: Array, dt: float) -> Step:
    """v += dt/tau (v_leak - v + R x)."""
    v = v + dt / node.tau * (node.v_leak - v + node.r * x)
    return v, v


def leaky_integrate_and_fire(node: nir.LIF, x: Array, v: Array, dt: float, amount: Amount = None) -> Step:
    """v += dt/tau (v_leak - v + R x); a spike as in :func:`integrate_and_fire`."""
    return _fire(node, v + dt / node.tau * (node.v_leak - v + node.r * x), amount)


def current_leaky_integrator(node: nir.CubaLI, x: Array, state: TwoStates, dt: float) -> tuple[Array, TwoStates]:
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i)."""
    i, v = _synapse_and_membrane(node, x, state, dt)
    return v, (i, v)


def current_leaky_integrate_and_fire(
    node: nir.CubaLIF, x: Array, state: TwoStates, dt: float, amount: Amount = None
) -> tuple[Array, TwoStates]:
    """As CubaLI; a spike as in :func:`integrate_and_fire`."""
    i, v = _synapse_and_membrane(node, x, state, dt)
    spikes, v = _fire(node, v, amount)
    return spikes, (i, v)


def multi_level(node: MultiLevelLIF, x: Array, v: Array) -> Step:
    """u = decay v + gain x; the highest lane over its threshold sends its weight and takes its own amount off u."""
    u = node.decay * v + node.gain * x
    y = np.zeros_like(u)
    v = u.copy()
    for lane in range(node.lanes):
        theta, weight, amount = (
            np.broadcast_to(field[lane], u.shape) for field in (node.lane_threshold, node.lane_weight, node.lane_reset)
        )
        fires = u >= theta if node.boundary == ">=" else u > theta
        y = np.where(fires, weight, y)
        v = np.where(fires, u - amount if node.reset == "subtract" else node.v_reset, v)
    return y, v


def _fire(node: nir.IF | nir.LIF | nir.CubaLIF, v: Array, amount: Amount) -> Step:
    spikes = v > node.v_threshold
    return spikes.astype(np.float64), np.where(spikes, node.v_reset if amount is None else v - amount, v)


def _synapse_and_membrane(node: nir.CubaLI | nir.CubaLIF, x: Array, state: TwoStates, dt: float) -> TwoStates:
    i, v = state
    i = i + dt / node.tau_syn * (node.w_in * x - i)
    v = v + dt / node.tau_mem * (node.v_leak - v + node.r * i)
    return i, v
