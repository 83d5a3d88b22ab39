r"""snnTorch's neurons (1.0), where graph nodes do exactly the same.

A cell advances by one step, R[t] = [mem[t-1] > threshold]::

    Leaky       mem = beta mem + x           RLeaky     the same with x + recurrent(spk[t-1])
    Synaptic    syn = alpha syn + x;  mem = beta mem + syn      RSynaptic  likewise
    Lapicque    mem = (1 - time_step/(R C)) mem + time_step/C x
    spk = [mem > threshold] · graded_spikes_factor

What a spike does (``reset_mechanism``), with ``reset_delay`` one step late:

1. "subtract", late: mem = beta mem + x - R threshold, as if threshold/beta had been taken off at the spike.
2. "zero", late: Leaky forgets mem before x comes, as a reset at the spike does.  The other cells throw away what comes
   with R as well, which no node does.
3. "zero" at once: as a node does.
4. "subtract" at once: where mem is still above the threshold then, R takes it off again at the next step.  No node
   does.
5. "none": nothing.

Cells keep their own state, or get it from the code: then it must not come from outside or from an earlier call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.cells import first_call, numbers, require_positive, require_steps, spiking, synapse
from nirbridge.exporting.feedback import fed_back
from nirbridge.exporting.framework import Framework
from nirbridge.exporting.functions import multiply
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, State, Unknown, find_all
from nirbridge.ir import MultiLevelLIF

_HOME = "snntorch._neurons"
_ONE_STEP = "Let forward make one step, without a loop, and call its neurons with their input alone (init_hidden=True)"
_EXPORTER = (
    "Train with reset_mechanism='subtract' and reset_delay=True, or write a file with snntorch.export_nir and see how "
    "to run it in docs/tutorials/bring_a_network.md"
)


def _leaky(call: Call, module: Any, input_: Any, mem: Any = None) -> Any:
    signal = _input(call, module, input_, mem)
    return _sent(call, module, signal, _membrane(call, module, signal))


def _lapicque(call: Call, module: Any, input_: Any, mem: Any = None) -> Any:
    signal = _input(call, module, input_, mem)
    step, resistance, capacity = (numbers(value) for value in (module.time_step, module.R, module.C))
    decay = 1 - step / (resistance * capacity)
    if (decay < 0).any():
        raise RefusalError(f"time_step/(R C) is {1 - decay.min():g}, above 1", "Use a smaller time_step")
    return _sent(call, module, signal, _membrane(call, module, signal, decay, step / capacity))


def _synaptic(call: Call, module: Any, input_: Any, syn: Any = None, mem: Any = None) -> Any:
    signal = _input(call, module, input_, syn, mem)
    return _sent(call, module, signal, _membrane(call, module, signal), synaptic=True)


def _recurrent_leaky(call: Call, module: Any, input_: Any, spk: Any = None, mem: Any = None) -> Any:
    signal = _input(call, module, input_, spk, mem)
    return _sent(call, module, signal, _membrane(call, module, signal), recurrent=True)


def _recurrent_synaptic(call: Call, module: Any, input_: Any, spk: Any = None, syn: Any = None, mem: Any = None) -> Any:
    signal = _input(call, module, input_, spk, syn, mem)
    if not module.reset_delay:
        raise RefusalError("reset_delay=False works with the spikes of another step in snnTorch", _EXPORTER)
    return _sent(call, module, signal, _membrane(call, module, signal), synaptic=True, recurrent=True)


def _one_to_one(call: Call, module: Any, x: Any) -> Signal:
    """The recurrent weight of cells without ``all_to_all``: a factor for each neuron."""
    return multiply(call, x, module.V)


def _input(call: Call, module: Any, input_: Any, *states: Any) -> Signal:
    for state in states:
        if find_all(State, state):
            raise RefusalError("is called with the state of an earlier call: forward loops over steps", _ONE_STEP)
        if isinstance(state, (Tensor, Signal)):
            found = "is given a state to start from, as where forward loops over steps; a graph keeps it itself"
            raise RefusalError(found, _ONE_STEP)
    signal = first_call(call, input_, LeadingAxes.STEP, "Call it on one step, [B, ...]")
    if module.inhibition:
        raise RefusalError("inhibition=True lets the highest membrane alone fire, which no node does", "Turn it off")
    if module.state_quant:
        raise RefusalError("state_quant rounds its membrane, which a float graph does not", "Export without it")
    require_steps(module.spike_grad, at_zero=False)
    return signal


def _membrane(call: Call, module: Any, signal: Signal, decay: Any = None, gain: Any = 1.0) -> MultiLevelLIF:
    beta = _decay(module.beta) if decay is None else decay
    threshold = require_positive("threshold", module.threshold)
    factor = numbers(module.graded_spikes_factor)
    if (factor == 0).any():
        raise RefusalError("graded_spikes_factor is 0, so it sends nothing", "Use another factor")
    return spiking(
        call,
        signal,
        decay=beta,
        gain=gain,
        thresholds=threshold[None],
        weights=factor[None],
        amounts=_amounts(module, beta, threshold),
        boundary=">",
    )


def _amounts(module: Any, beta: Any, threshold: Any) -> Any:
    """What a spike takes off, None where it sets the membrane to 0."""
    how, late = module.reset_mechanism, getattr(module, "reset_delay", True)
    if how == "none":
        return np.zeros(1)
    if how == "zero":
        if late and type(module).__name__ != "Leaky":
            found = "reset_mechanism='zero' with reset_delay=True also drops the input of the step behind a spike"
            raise RefusalError(found, _EXPORTER)
        return None
    if not late:
        found = "reset_mechanism='subtract' with reset_delay=False subtracts twice where a membrane stays above it"
        raise RefusalError(found, _EXPORTER)
    if (beta == 0).any():
        found = "keeps nothing of its membrane, so that a late subtraction acts on the input alone"
        raise RefusalError(found, "Use a decay (beta) above 0")
    return (threshold / beta)[None]


def _decay(value: Any) -> Any:
    return numbers(value).clip(0, 1)


def _sent(
    call: Call, module: Any, signal: Signal, node: MultiLevelLIF, *, synaptic: bool = False, recurrent: bool = False
) -> Any:
    """The spikes of the membrane, behind a synapse or with feedback; with the states where the cell hands them on."""

    def build() -> list[Signal]:
        if not synaptic:
            return [call.emit(node, signal)]
        current = synapse(call, signal, _decay(module.alpha), 1.0)
        return [current, call.emit(node, current)]

    sent = fed_back(call, signal, module.recurrent, "recurrent", build) if recurrent else build()[-1]
    if find_all(Unknown, sent) or (module.init_hidden and not module.output):
        return sent
    return (sent, *(State(call.name) for _ in range(2 if synaptic else 1)))


_MODULES: dict[str, Handler] = {
    f"{_HOME}.leaky.Leaky": _leaky,
    f"{_HOME}.lapicque.Lapicque": _lapicque,
    f"{_HOME}.synaptic.Synaptic": _synaptic,
    f"{_HOME}.rleaky.RLeaky": _recurrent_leaky,
    f"{_HOME}.rsynaptic.RSynaptic": _recurrent_synaptic,
    f"{_HOME}.rleaky.RecurrentOneToOne": _one_to_one,
    f"{_HOME}.rsynaptic.RecurrentOneToOne": _one_to_one,
}
FRAMEWORK = Framework(
    name="snnTorch",
    homes=(_HOME,),
    modules=_MODULES,
    unlike={
        "Alpha": "has a membrane of two currents that excite and inhibit, which no node has",
        "SLSTM": "is an LSTM with gates, which no node has",
        "SConv2dLSTM": "is an LSTM with gates, which no node has",
    },
    instead="Use Leaky, Lapicque, Synaptic, RLeaky or RSynaptic; snntorch.export_nir takes no others either",
    readings=lambda _module: (LeadingAxes.STEP,),
)
