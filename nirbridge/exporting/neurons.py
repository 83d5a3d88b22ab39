"""nirbridge's own neurons, and the network that runs over time."""

from __future__ import annotations

from functools import partial
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray
from torch import nn

from nirbridge.exporting.arrays import array, constant
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.feedback import fed_back
from nirbridge.exporting.layers import same
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, find_all, require_leading, require_signal
from nirbridge.ir import Extension, TemporalMix
from nirbridge.ir import MultiLevelLIF as MultiLevelNode
from nirbridge.neurons import (
    LMHT,
    QCFS,
    Barrier,
    MultiLevelIF,
    MultiLevelLIF,
    OverTime,
    PrimitiveNeuron,
    Recurrent,
    SpikingNeuron,
    TimeDropout,
)

_NEURON_FIELDS = ("decay", "gain", "v_init", "v_reset")
_LANE_FIELDS = ("lane_threshold", "lane_weight", "lane_reset")


def is_neuron(module: nn.Module) -> bool:
    """Whether this is a neuron of nirbridge, or a subclass of one."""
    return isinstance(module, (SpikingNeuron, PrimitiveNeuron, Recurrent, OverTime, QCFS))


def multi_level(call: Call, module: SpikingNeuron, input: Any) -> Signal:
    """Any neuron with lanes: its thresholds, weights and resets as they stand, number by number."""
    signal = _neuron_input(call, input)
    return call.emit(_node(module, signal), signal)


def primitive(call: Call, module: PrimitiveNeuron, input: Any) -> Signal:
    """The node of a primitive, its values as they stand; NIR's own nodes have them for each neuron."""
    signal, kind = _neuron_input(call, input), module.spec.node
    values = {name: array(getattr(module, name)) for name in module.names}
    for name, value in values.items():
        require_fit(name, value, signal)
    if issubclass(kind, Extension):
        node = kind(signal.shape, **values)
    else:
        node = kind(**{name: np.broadcast_to(v, signal.shape).copy() for name, v in values.items()})
    _require_time_step(call, module, node)
    return call.emit(node, signal)


def _require_time_step(call: Call, module: PrimitiveNeuron, node: nir.NIRNode) -> None:
    """Refuses a neuron that was trained at another step than the graph's, if that makes a difference."""
    dynamics = module.spec.dynamics
    assert dynamics is not None
    trained, exported = (dynamics.values(node, dt) for dt in (module.dt, call.builder.dt))
    if any(not np.array_equal(trained[name], exported[name]) for name in trained):
        found = f"runs at dt={module.dt:g}, the graph at {call.builder.dt:g} seconds per step"
        raise RefusalError(found, f"Export with dt={module.dt:g}, and run the graph with it")


def mixed_in_time(call: Call, module: LMHT, input: Any) -> Signal:
    """LM-HT: a TemporalMix by Ω, called ``<name>.mix``, and the neuron behind it."""
    signal = _neuron_input(call, input)
    mixed = call.emit(TemporalMix(array(module.mixing)), signal, "mix")
    return call.emit(_node(module, signal), mixed)


def over_time(call: Call, module: OverTime, input: Any) -> Signal:
    """The inner network on [T*B, ...]; the wrapper has no part in the names."""
    folded = require_leading(input, LeadingAxes.TIME, "Wrap the whole network once").over(LeadingAxes.FOLDED)
    before, call.builder.over = call.builder.over, LeadingAxes.FOLDED
    try:
        result = call.call_module(module.module, call.name, (folded,), {})
    finally:
        call.builder.over = before
    if not find_all(Signal, result):
        return result  # what was refused inside of it
    if not isinstance(result, Signal) or result.leading is not LeadingAxes.FOLDED:
        raise RefusalError("its network does not return one tensor over [T*B, ...]", "Return one tensor")
    return result.over(LeadingAxes.TIME)


def recurrent(call: Call, module: Recurrent, input: Any) -> Signal:
    """The neuron, which has the layer's name, and a cycle through ``<name>.feedback``."""
    signal = _neuron_input(call, input)
    neuron = partial(call.call_module, module.neuron, call.name, (signal,), {})
    return fed_back(call, signal, module.feedback, "feedback", lambda: [neuron()])


def _neuron_input(call: Call, input: Any) -> Signal:
    signal = require_signal(input)
    if signal.leading in (LeadingAxes.STEP, LeadingAxes.BATCH_FIRST):
        found = f"runs over [T, B, ...] and keeps no state from call to call, but its input is {signal.leading.text}"
        raise RefusalError(found, "Give it [T, B, ...]", leading=True)
    if call.builder.over not in (None, signal.leading):
        found = f"runs over {call.builder.over.text} here, but its input is {signal.leading.text}"
        raise RefusalError(found, "Leave time and batch as they are, or wrap the network in OverTime", leading=True)
    return signal


def _node(module: SpikingNeuron, signal: Signal) -> MultiLevelNode:
    dtype = array(module.threshold).dtype
    fields = {name: constant(getattr(module, name), dtype) for name in _NEURON_FIELDS}
    fields |= {name: array(getattr(module, name)) for name in _LANE_FIELDS}
    for name, value in fields.items():
        require_fit(name, value[0] if name in _LANE_FIELDS else value, signal)
    return MultiLevelNode(shape=signal.shape, reset=module.reset, boundary=module.boundary, **fields)


def require_fit(name: str, value: NDArray[Any], signal: Signal) -> None:
    """Refuses a parameter that does not broadcast to the features."""
    try:
        fits = np.broadcast_shapes(value.shape, signal.shape) == signal.shape
    except ValueError:
        fits = False
    if not fits:
        found = f"{name} of shape {value.shape} does not broadcast to features {signal.shape}"
        raise RefusalError(found, "Give one number, or (C, 1, 1) for channels of (C, H, W)")


MODULES: dict[type[nn.Module], Handler] = {
    MultiLevelLIF: multi_level,
    MultiLevelIF: multi_level,
    Barrier: multi_level,
    PrimitiveNeuron: primitive,
    Recurrent: recurrent,
    LMHT: mixed_in_time,
    OverTime: over_time,
    TimeDropout: same,
}
