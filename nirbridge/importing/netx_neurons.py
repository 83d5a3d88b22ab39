r"""Loihi's current-based neuron, as lava-dl stores it → primitives of NIR.

.. math::
    u &= tz(u (4096 - iDecay) / 4096) + 64 \, W x \\
    v &= tz(v (4096 - vDecay) / 4096) + u + 64 \, bias, \quad v > 64 \, vThMant \text{ spikes and sets } v = 0

Precision "fixed" of every runtime computes the same (docs/fixed_point.md).  Source: Davies et al. 2018, and lava-nc,
lava/proc/lif/models.py.
"""

from __future__ import annotations

import warnings
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError, GraphWarning
from nirbridge.importing.netx_file import Fields
from nirbridge.primitives.integers import DECAY_ONE, STATE_LIMIT

DT = 1e-3
"""Seconds of a step: decays are per step, and NIR's time constants are in seconds."""
SCALE = 64
"""Weights, biases and thresholds are mantissas, shifted by 6 bits."""
KINDS = ("CUBA", "LOIHI")
_TRAINING = ("scaleRho", "tauRho", "theta")
_KNOWN = ("type", "iDecay", "vDecay", "vThMant", "refDelay", "gradedSpike", "messageBits", "wgtExp", *_TRAINING)
_ONLY = {"refDelay": 1, "gradedSpike": 0, "messageBits": 0, "wgtExp": 0}
"""What a field may hold at most, since nothing else has a counterpart."""


def neuron_nodes(neuron: Fields, shape: tuple[int, ...], bias: NDArray[np.int64]) -> dict[str, nir.NIRNode]:
    """The nodes of a neuron, in their order, by the ends of their names; the last one sends.

    One CubaLIF where both states leak, else a node for the current before one for the membrane.  A bias counts for the
    membrane, so one beside a current that lasts stands between those two.

    Args:
        neuron: its fields.
        shape: of the population, channels first.
        bias: of it, (channels,) or of its size.

    Warns:
        GraphWarning: its threshold is beyond the states' 24 bits, so it never fires: it sends its membrane instead.

    Raises:
        GraphError: a field is missing, unknown, or has a value that nothing in NIR has.
    """
    _require_plain(neuron)
    current, voltage = (_decay(neuron, name, shape) for name in ("iDecay", "vDecay"))
    threshold = np.broadcast_to(_spread(neuron, "vThMant", shape) * SCALE, shape)
    fires = bool((threshold <= STATE_LIMIT).all())
    if not fires and (threshold <= STATE_LIMIT).any():
        raise GraphError(neuron.where, "only some of its neurons have a threshold within 24 bits", "Split the layer")
    if not fires:
        found = f"vThMant {threshold.flat[0] // SCALE} is beyond the membrane's 24 bits, so it never fires"
        warnings.warn(f"{neuron.where}: {found}. The graph sends its membrane.", GraphWarning, stacklevel=5)
    ends = {"v_threshold": threshold.astype(np.float64), "v_reset": np.zeros(shape)} if fires else {}
    metadata = {"lava-dl": {name: neuron.values[name] for name in _TRAINING if name in neuron.values}}
    lasting_bias = bool(bias.any()) and (current != DECAY_ONE).any()
    if (current > 0).all() and (voltage > 0).all() and not lasting_bias:
        tau_syn, w_in = _leak(current)
        tau_mem, r = _leak(voltage)
        cls = nir.CubaLIF if fires else nir.CubaLI
        return {"": cls(tau_syn=tau_syn, tau_mem=tau_mem, r=r, v_leak=0 * r, w_in=w_in, metadata=metadata, **ends)}
    nodes: dict[str, nir.NIRNode] = {}
    if (current != DECAY_ONE).any():
        nodes["_current"] = _integrator(neuron, "iDecay", current, {}, {})
    if lasting_bias:
        nodes["_bias"] = added(bias, shape)
    return nodes | {"": _integrator(neuron, "vDecay", voltage, ends, metadata)}


def added(bias: NDArray[np.int64], shape: tuple[int, ...]) -> nir.NIRNode:
    """x + 64 bias."""
    if len(shape) == 1:
        return nir.Affine(np.eye(shape[0]), np.broadcast_to(bias, shape) * float(SCALE))
    ones = np.ones((shape[0], 1, 1, 1))
    return nir.Conv2d(shape[1:], ones, 1, 0, 1, shape[0], np.broadcast_to(bias, shape[:1]) * float(SCALE))


def _integrator(
    neuron: Fields, name: str, decay: NDArray[np.float64], ends: dict[str, Any], metadata: dict[str, Any]
) -> nir.NIRNode:
    """One state: without a leak IF or I, else LIF or LI."""
    if not decay.any():
        return (nir.IF if ends else nir.I)(r=np.ones(decay.shape), metadata=metadata, **ends)
    if (decay == 0).any():
        found = f"{name} is 0 for some neurons and not for others"
        raise GraphError(neuron.where, found, "Nothing in NIR has both; split the layer")
    tau, r = _leak(decay)
    return (nir.LIF if ends else nir.LI)(tau=tau, r=r, v_leak=0 * r, metadata=metadata, **ends)


def _leak(decay: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(tau, gain) of a state that loses decay/4096 a step and takes its input as it is."""
    steps = DECAY_ONE / decay
    return DT * steps, steps


def _decay(neuron: Fields, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    found = _spread(neuron, name, shape)
    if (found < 0).any() or (found > DECAY_ONE).any():
        raise GraphError(neuron.where, f"{name} holds {found.min()} to {found.max()}, outside of 0..{DECAY_ONE}")
    return np.broadcast_to(found, shape).astype(np.float64)


def _spread(neuron: Fields, name: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """One number, or one for each channel."""
    found = neuron.whole(name)
    if found.size == 1:
        return found.reshape(())
    if found.shape != shape[:1]:
        raise GraphError(neuron.where, f"{name} has shape {found.shape}, expected one value or {shape[0]}")
    return found.reshape(-1, *(1,) * (len(shape) - 1))


def _require_plain(neuron: Fields) -> None:
    kind = neuron.text("type")
    if kind not in KINDS:
        found = f"type {kind!r} is not among {', '.join(KINDS)}"
        raise GraphError(neuron.where, found, "Only Loihi's current-based neuron is read")
    neuron.require_known(_KNOWN)
    for name, only in _ONLY.items():
        if name in neuron.values and (neuron.whole(name) != only).any():
            found = f"{name} is {np.asarray(neuron.values[name]).flat[0]}, and only {only} has a counterpart"
            raise GraphError(neuron.where, found, "Train it without")
