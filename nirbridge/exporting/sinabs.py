"""sinabs's neurons (3.1), where graph nodes do exactly the same.

One step, with alpha = exp(-1/tau) as sinabs computes it::

    i = alpha_syn (i + x)  where there is a tau_syn, else i = x
    v = alpha_mem v + (1 - alpha_mem) i;  without norm_input v = alpha_mem v + i;  IAF: v += i
    SingleSpike      one spike where v >= spike_threshold
    MaxSpike(n)      floor(v/spike_threshold) spikes, n at most
    MembraneSubtract takes off spike_threshold, or its subtract_value, for each spike;  MembraneReset(0) sets v = 0

``ExpLeak`` is the same without spikes.  ``LIFRecurrent`` and ``IAFRecurrent`` add rec_connect(spikes) of the step
before to x, and 0 at the first step.  Layers take [B, T, ...], those called Squeeze [B*T, ...].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from nirbridge.exporting.call import Call, Handler, join, with_fields
from nirbridge.exporting.cells import first_call, integrator, numbers, require_positive, spiking, synapse
from nirbridge.exporting.feedback import fed_back
from nirbridge.exporting.framework import Framework, Readings
from nirbridge.exporting.pooling import sum_pool2d
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, require_leading
from nirbridge.ir import MultiLevelLIF

_HOME = "sinabs.layers"
_MOST_SPIKES = 64
_SQUEEZED = ("LIFSqueeze", "IAFSqueeze", "ExpLeakSqueeze")
_BOUNDED = "Set spike_fn to sinabs.activation.MaxSpike(max_num_spikes_per_bin=16), or to SingleSpike"


def _neuron(leading: LeadingAxes) -> Handler:
    def lower(call: Call, module: Any, input_data: Any) -> Signal:
        signal = _input(call, input_data, leading)
        return _nodes(call, module, signal)[-1]

    return lower


def _recurrent(call: Call, module: Any, input_data: Any) -> Any:
    signal = _input(call, input_data, LeadingAxes.BATCH_FIRST)
    return fed_back(
        call, signal, module.rec_connect, "rec_connect", lambda: _nodes(call, module, signal), at_first_step=False
    )


def _input(call: Call, input_data: Any, leading: LeadingAxes) -> Signal:
    return first_call(call, input_data, leading, "Use one kind in a network: layers for [B, T, ...] or Squeeze ones")


def _nodes(call: Call, module: Any, signal: Signal) -> Sequence[Signal]:
    """What the synapse sends, if there is one, and what the neuron sends."""
    if module.min_v_mem is not None:
        raise RefusalError("min_v_mem keeps its membrane above a floor, which no node does", "Train without min_v_mem")
    alpha, alpha_syn = numbers(module.alpha_mem_calculated), module.alpha_syn_calculated
    gain = 1 - alpha if module.norm_input else np.ones(())
    silent = module.spike_fn is None
    node = integrator(call, signal, alpha, gain) if silent else _spiking(call, module, signal, alpha, gain)
    if alpha_syn is None:
        return [call.emit(node, signal)]
    current = synapse(call, signal, alpha_syn, alpha_syn)
    return [current, call.emit(node, current)]


def _spiking(call: Call, module: Any, signal: Signal, alpha: Any, gain: Any) -> MultiLevelLIF:
    threshold = require_positive("spike_threshold", module.spike_threshold)
    counts = np.arange(1.0, _most_spikes(module.spike_fn) + 1)
    amount = _amount(module.reset_fn, threshold)
    return spiking(
        call,
        signal,
        decay=alpha,
        gain=gain,
        thresholds=np.multiply.outer(counts, threshold),
        weights=counts,
        amounts=None if amount is None else np.multiply.outer(counts, amount),
        boundary=">=",
    )


def _most_spikes(spike_fn: Any) -> int:
    """The most spikes of one step."""
    kind = spike_fn if isinstance(spike_fn, type) else type(spike_fn)
    if not kind.__module__.startswith("sinabs.activation"):
        raise RefusalError(f"its spike_fn {kind.__name__} is not one of sinabs", _BOUNDED)
    if kind.__name__ == "SingleSpike":
        return 1
    most = getattr(spike_fn, "max_num_spikes_per_bin", None)
    if kind.__name__ != "MaxSpike" or most is None:
        raise RefusalError(f"its spike_fn {kind.__name__} sends any number of spikes a step", _BOUNDED)
    if not 1 <= most <= _MOST_SPIKES:
        raise RefusalError(f"sends up to {most} spikes a step; export makes at most {_MOST_SPIKES} lanes", _BOUNDED)
    return int(most)


def _amount(reset_fn: Any, threshold: Any) -> Any:
    """What one spike takes off; None where spikes set the membrane to 0."""
    kind = type(reset_fn).__name__
    if kind == "MembraneSubtract":
        return threshold if reset_fn.subtract_value is None else numbers(reset_fn.subtract_value)
    if kind != "MembraneReset":
        raise RefusalError(f"its reset_fn {kind} is not one of sinabs", "Use MembraneSubtract or MembraneReset")
    if reset_fn.reset_value != 0:
        found = f"its reset_value {reset_fn.reset_value:g} is added to silent membranes too, which no node does"
        raise RefusalError(found, "Use MembraneReset(0)")
    return None


def _repeat(call: Call, module: Any, x: Any) -> Any:
    """Repeat: the inner module on [B*T, ...]."""
    signal = require_leading(x, LeadingAxes.BATCH_FIRST, "Use it between layers for [B, T, ...]")
    result = call.call_module(module.module, join(call.name, "module"), (signal.over(LeadingAxes.FOLDED),), {})
    return result.over(LeadingAxes.BATCH_FIRST) if isinstance(result, Signal) else result


def _axes(before: LeadingAxes, behind: LeadingAxes) -> Handler:
    """FlattenTime and UnflattenTime: other leading axes alone."""
    return lambda call, module, x: require_leading(x, before).over(behind)


def _readings(module: nn.Module) -> Readings:
    kinds = {type(inner).__name__ for inner in module.modules()}
    squeezed = any(kind in _SQUEEZED for kind in kinds)
    return (LeadingAxes.FOLDED, LeadingAxes.BATCH_FIRST) if squeezed else (LeadingAxes.BATCH_FIRST,)


_MODULES: dict[str, Handler] = {
    f"{_HOME}.iaf.IAF": _neuron(LeadingAxes.BATCH_FIRST),
    f"{_HOME}.iaf.IAFSqueeze": _neuron(LeadingAxes.FOLDED),
    f"{_HOME}.iaf.IAFRecurrent": _recurrent,
    f"{_HOME}.lif.LIF": _neuron(LeadingAxes.BATCH_FIRST),
    f"{_HOME}.lif.LIFSqueeze": _neuron(LeadingAxes.FOLDED),
    f"{_HOME}.lif.LIFRecurrent": _recurrent,
    f"{_HOME}.exp_leak.ExpLeak": _neuron(LeadingAxes.BATCH_FIRST),
    f"{_HOME}.exp_leak.ExpLeakSqueeze": _neuron(LeadingAxes.FOLDED),
    f"{_HOME}.pool2d.SumPool2d": with_fields(sum_pool2d, "kernel_size", "stride", "ceil_mode"),
    f"{_HOME}.reshape.Repeat": _repeat,
    f"{_HOME}.reshape.FlattenTime": _axes(LeadingAxes.BATCH_FIRST, LeadingAxes.FOLDED),
    f"{_HOME}.reshape.UnflattenTime": _axes(LeadingAxes.FOLDED, LeadingAxes.BATCH_FIRST),
}
FRAMEWORK = Framework(
    name="sinabs",
    homes=(_HOME,),
    modules=_MODULES,
    unlike={
        "ALIF": "adapts its threshold, which no node does",
        "ALIFRecurrent": "adapts its threshold, which no node does",
        "NeuromorphicReLU": "rounds analog values, which no node does",
        "SpikingMaxPooling2dLayer": "counts spikes over all steps, which no node does",
    },
    instead="Use IAF, LIF or ExpLeak; sinabs.nir.to_nir takes no others either",
    readings=_readings,
)
