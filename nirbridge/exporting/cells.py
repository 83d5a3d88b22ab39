r"""The nodes that neurons of other frameworks become.

All of them are :class:`~nirbridge.primitives.MultiLevelLIF`, which says the decay, the gain and what a spike does as
numbers, so that no rounding of time constants comes between:

    u = decay·v + gain·x;  a spike where u > threshold, or u >= threshold;  v = u - amount, or v = 0

A synapse in front is an ``LI`` (or an ``I``, where nothing decays) of its own: i = decay·i + gain·x.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.exporting.call import Call
from nirbridge.exporting.neurons import require_fit
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, require_leading
from nirbridge.ir import MultiLevelLIF

Array = NDArray[Any]
_PROBES = torch.linspace(-4, 4, 257)


def numbers(value: Any) -> Array:
    """A parameter as numbers of double precision, whatever holds it."""
    tensor = value.detach().cpu().double() if isinstance(value, Tensor) else value
    return np.asarray(tensor, dtype=np.float64)


def first_call(call: Call, input: Any, leading: LeadingAxes, hint: str) -> Signal:
    """The input of a neuron, whose time and batch stand where the neuron wants them.

    Raises:
        RefusalError: they do not, or the neuron is called a second time and would go on with its state.
    """
    signal = require_leading(input, leading, hint)
    if call.name in call.builder.called:
        found = "is called again in one forward, but has one state"
        raise RefusalError(found, "Let forward make one step, without a loop, and use one neuron for each place")
    call.builder.called.add(call.name)
    return signal


def spiking(
    call: Call,
    signal: Signal,
    *,
    decay: Any,
    gain: Any,
    thresholds: Any,
    boundary: str,
    weights: Any = (1.0,),
    amounts: Any = None,
) -> MultiLevelLIF:
    """The neuron; parameters with lanes begin with that axis.

    Args:
        call: holds the dtype.
        signal: its input.
        decay: what is left of the membrane after a step.
        gain: factor of the input.
        thresholds: one for each lane, rising.
        boundary: ">" or ">=".
        weights: what each lane sends.
        amounts: what a spike of each lane takes off the membrane; None sets it to 0.
    """
    lanes = len(numbers(thresholds))
    fields = {
        "decay": numbers(decay),
        "gain": numbers(gain),
        "lane_threshold": numbers(thresholds),
        "lane_weight": numbers(weights),
        "lane_reset": np.zeros(lanes) if amounts is None else numbers(amounts),
    }
    for name, value in fields.items():
        require_fit(name, value[0] if name.startswith("lane") else value, signal)
        if not np.isfinite(value).all():
            raise RefusalError(f"{name} is not a finite number", "Check its parameters")
    kept = {name: np.asarray(value, dtype=call.builder.dtype) for name, value in fields.items()}
    zero = np.zeros((), dtype=call.builder.dtype)
    reset = "value" if amounts is None else "subtract"
    return MultiLevelLIF(shape=signal.shape, v_init=zero, v_reset=zero, reset=reset, boundary=boundary, **kept)


def synapse(call: Call, signal: Signal, decay: Any, gain: Any) -> Signal:
    """i = decay·i + gain·x as a node ``<name>.syn``."""
    return call.emit(integrator(call, signal, decay, gain), signal, "syn")


def integrator(call: Call, signal: Signal, decay: Any, gain: Any) -> nir.NIRNode:
    """v = decay·v + gain·x, which is sent: an LI, or an I where nothing decays."""
    kept, factor = (np.broadcast_to(numbers(value), signal.shape).copy() for value in (decay, gain))
    if (kept == 1).all():
        return nir.I(r=factor)
    if not ((kept >= 0) & (kept < 1)).all():
        found = f"decays by {kept.min():g} to {kept.max():g} a step, and one node has time constants or has none"
        raise RefusalError(found, "Keep decays of a layer below 1, or all of them at 1")
    rate = 1 - kept
    return nir.LI(tau=call.builder.dt / rate, r=factor / rate, v_leak=np.zeros(signal.shape))


def require_positive(name: str, value: Any) -> Array:
    """A threshold as numbers.

    Raises:
        RefusalError: one is not above 0: the neuron would fire at rest.
    """
    found = numbers(value)
    if not (found > 0).all():
        raise RefusalError(f"{name} is {found.min():g}, so it fires at rest", f"Use a {name} above 0")
    return found


def require_steps(fires: Callable[[Tensor], Tensor], at_zero: bool) -> None:
    """Refuses a spike function that sends anything but 1 above the threshold and 0 below it.

    Args:
        fires: the spike function, of the membrane less the threshold.
        at_zero: whether it must fire at the threshold itself.
    """
    with torch.no_grad():
        sent = fires(_PROBES.clone())
    wanted = _PROBES >= 0 if at_zero else _PROBES > 0
    if not torch.equal(torch.as_tensor(sent).float(), wanted.float()):
        found = f"its spike function {type(fires).__name__} sends other values than 0 and 1, or fires elsewhere"
        raise RefusalError(found, "Use a surrogate gradient whose forward pass is a step")
