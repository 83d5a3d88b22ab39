"""Neurons: gains and input factors go into the scale of the state, thresholds and resets become integers.

With boundary ">" an integer state exceeds θ/scale where it exceeds ⌊θ/scale⌋, with ">=" it reaches θ/scale where it
reaches ⌈θ/scale⌉, so thresholds are rounded down or up and decide as the real ones would.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2
from typing import Any

import nir
import numpy as np

from nirbridge.ir import MultiLevelLIF
from nirbridge.primitives.integers import DECAY_ONE, leak_steps
from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import collapsed, common_unit
from nirbridge.quantizing.refusals import RefusedError, TooFineError, excess_by_place
from nirbridge.quantizing.report import LayerReport
from nirbridge.quantizing.scales import rounded
from nirbridge.quantizing.synapses import Place, Quantised

FINE_THRESHOLD = 64
"""Units that lie at least between two thresholds, and below the first: coarser ones make the state finer by a shift."""
MOST_SHIFT = 22
"""Bits by which a state may be finer than what enters: with more, a single message would leave its 24 bits."""
TOP_THRESHOLD = 2**21
"""Largest threshold or reset: two bits of the state stay free above it."""


def multi_level(node: MultiLevelLIF, place: Place) -> Quantised:
    """gain·s goes into the state's scale; lanes send weight/unit."""
    state: Array = place.scale * _positive(place, node, "gain")
    unit = common_unit(node.lane_weight)
    axes = np.ndim(state)
    lanes: dict[str, Array] = {name: _aligned(getattr(node, name), axes) for name in ("lane_threshold", "lane_reset")}
    others = [np.asarray(getattr(node, name)) / state for name in ("v_init", "v_reset")]
    shift = _shift(place, lanes["lane_threshold"] / state, [lanes["lane_reset"] / state, *others])
    state = state / 2.0**shift
    limit = rounded(lanes["lane_threshold"], state, np.floor if node.boundary == ">" else np.ceil)
    amount = rounded(lanes["lane_reset"], state)
    if node.lanes > 1 and not (np.diff(limit, axis=0) > 0).all():
        raise RefusedError(place.name, node, "lanes have thresholds closer than one unit of a 24-bit state")
    keep = np.rint(DECAY_ONE * np.asarray(node.decay, dtype=np.float64)) / DECAY_ONE
    new = replace(
        node,
        decay=keep,
        gain=np.asarray(2**shift, dtype=np.int32),
        v_init=rounded(node.v_init, state).astype(np.int32),
        lane_threshold=limit.astype(np.int32),
        lane_weight=rounded(_aligned(node.lane_weight, unit.ndim), unit).astype(np.int32),
        lane_reset=amount.astype(np.int32),
        v_reset=rounded(node.v_reset, state).astype(np.int32),
    )
    changed = max(relative(limit * state, lanes["lane_threshold"]), relative(amount * state, lanes["lane_reset"]))
    lost = float(np.abs(keep - node.decay).max())
    layer = neuron_layer(place, node, state, shift=shift, decay_error=lost, threshold_error=changed)
    return Quantised(new, unit, layer)


def threshold(node: nir.Threshold, place: Place) -> Quantised:
    """1 where x > ⌊threshold/s⌋."""
    limit = rounded(node.threshold, place.scale, np.floor)
    layer = neuron_layer(place, node, place.scale, threshold_error=relative(limit * place.scale, node.threshold))
    return Quantised(nir.Threshold(limit.astype(np.int32)), np.ones(()), layer)


def integrator(node: nir.I, place: Place) -> Quantised:
    """R·s is the state's scale, and with it that of what it sends."""
    state = collapsed(place.scale * _positive(place, node, "r"))
    return Quantised(nir.I(np.ones(np.shape(node.r), np.int32)), state, neuron_layer(place, node, state))


def integrate_and_fire(node: nir.IF, place: Place) -> Quantised:
    """As I, with R = 2^shift."""
    limits, layer = _core_threshold(node, place, place.scale * _positive(place, node, "r"))
    gain = np.full(np.shape(node.v_threshold), 2**layer.shift, np.int32)
    return Quantised(_made(node, r=gain, **limits), np.ones(()), layer)


def leaky(node: nir.LI | nir.LIF, place: Place) -> Quantised:
    """R·dt/tau·s is the state's scale."""
    _require_no_rest(place, node)
    state = place.scale * _positive(place, node, "r") * place.dt / np.asarray(node.tau, dtype=np.float64)
    tau, error = _leak(place, node, "tau")
    return _leaking(node, place, state, error, tau=tau, r=tau / place.dt)


def with_synapse(node: nir.CubaLI | nir.CubaLIF, place: Place) -> Quantised:
    """w_in·dt/tau_syn·R·dt/tau_mem·s is the membrane's scale."""
    _require_no_rest(place, node)
    dt = place.dt
    current = place.scale * _positive(place, node, "w_in") * dt / np.asarray(node.tau_syn, dtype=np.float64)
    state = current * _positive(place, node, "r") * dt / np.asarray(node.tau_mem, dtype=np.float64)
    tau_syn, error = _leak(place, node, "tau_syn")
    tau_mem, other = _leak(place, node, "tau_mem")
    gains = {"w_in": tau_syn / dt, "r": tau_mem / dt}
    return _leaking(node, place, state, max(error, other), tau_syn=tau_syn, tau_mem=tau_mem, **gains)


def _leaking(node: Any, place: Place, state: Array, error: float, **fields: Array) -> Quantised:
    """A neuron with these time constants and gains; one without a threshold sends its state."""
    fields["v_leak"] = np.zeros(np.shape(node.r))
    if not hasattr(node, "v_threshold"):
        return Quantised(_made(node, **fields), collapsed(state), neuron_layer(place, node, state, decay_error=error))
    limits, layer = _core_threshold(node, place, state, error)
    return Quantised(_made(node, **fields, **limits), np.ones(()), layer, amplify=layer.shift)


def _made(node: nir.NIRNode, **fields: Array) -> nir.NIRNode:
    """A node of the same type, its fields brought to one shape."""
    names, values = fields.keys(), np.broadcast_arrays(*fields.values())
    return type(node)(**{name: value.copy() for name, value in zip(names, values, strict=True)})


def _core_threshold(
    node: Any, place: Place, state: Array, decay_error: float = 0.0
) -> tuple[dict[str, Array], LayerReport]:
    """(threshold and reset as integers, row of the report) of a core neuron."""
    limit, reset = (np.asarray(v, dtype=np.float64) for v in (node.v_threshold, node.v_reset))
    shift = _shift(place, (limit / state)[None], [reset / state])
    fine = state / 2.0**shift
    limit, reset = rounded(limit, fine, np.floor), rounded(reset, fine)
    changed = relative(limit * fine, node.v_threshold)
    layer = neuron_layer(place, node, fine, shift=shift, decay_error=decay_error, threshold_error=changed)
    return {"v_threshold": limit.astype(np.int32), "v_reset": reset.astype(np.int32)}, layer


def _shift(place: Place, thresholds: Array, others: list[Array]) -> int:
    """Bits by which the state is finer than what enters, so that thresholds are told apart.

    Raises:
        TooFineError: even without a shift they would not fit the state.
    """
    steps = np.concatenate([np.abs(thresholds[:1]), np.diff(thresholds, axis=0)])
    steps = steps[steps > 0]
    top = max(float(np.nan_to_num(np.abs(v), nan=np.inf).max()) for v in (thresholds, *others))
    if top > TOP_THRESHOLD:
        bits = excess_by_place((thresholds, *others), TOP_THRESHOLD).max(axis=0)
        raise TooFineError(place.name, bits, f"its thresholds or resets would take {top:.3g} units of a 24-bit state")
    wanted = max(0, ceil(log2(FINE_THRESHOLD / max(float(steps.min()), 2.0**-MOST_SHIFT)))) if steps.size else 0
    room = int(log2(TOP_THRESHOLD / max(top, 2.0**-MOST_SHIFT)))
    return min(wanted, room, MOST_SHIFT)


def _positive(place: Place, node: nir.NIRNode, name: str) -> Array:
    value = np.asarray(getattr(node, name), dtype=np.float64)
    if (value <= 0).any():
        found = f"{name} holds {value.min():g}; only a positive one goes into the scale of the state"
        raise RefusedError(place.name, node, found, "Move its sign into the weights before it")
    return value


def _require_no_rest(place: Place, node: Any) -> None:
    if np.any(node.v_leak):
        found = "v_leak is not 0, and a fixed-point membrane decays to 0"
        raise RefusedError(place.name, node, found, "Move it into threshold, reset and bias")


def _leak(place: Place, node: Any, name: str) -> tuple[Array, float]:
    """(the time constant that loses a whole number of 4096ths a step, the change of the decay)."""
    tau = np.asarray(getattr(node, name), dtype=np.float64)
    steps = np.maximum(leak_steps(place.dt, tau), 1)
    if (steps > DECAY_ONE).any():
        found = f"{name} {tau.min():g} s is shorter than dt = {place.dt:g} s"
        raise RefusedError(place.name, node, found, "Quantise it with a shorter dt")
    return place.dt * DECAY_ONE / steps, float(np.abs(steps / DECAY_ONE - place.dt / tau).max())


def neuron_layer(place: Place, node: nir.NIRNode, state: Array, **measured: Any) -> LayerReport:
    """A neuron's row of the report, with other fields of it by name."""
    return LayerReport(place.name, type(node).__name__, float(np.min(state)), **measured)


def _aligned(field: Any, axes: int) -> Array:
    """(S, ...) → (S, 1.., ...), so that the axes behind the lane broadcast against ``axes`` others."""
    array = np.asarray(field, dtype=np.float64)
    return array.reshape(len(array), *(1,) * (axes + 1 - array.ndim), *array.shape[1:])


def relative(found: Array, wanted: Any) -> float:
    """The largest change, relative to values that are not 0."""
    wanted = np.broadcast_to(np.asarray(wanted, dtype=np.float64), np.shape(found))
    counts = wanted != 0
    return float((np.abs(found - wanted)[counts] / np.abs(wanted[counts])).max(initial=0.0))
