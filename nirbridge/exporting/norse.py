"""Norse's neurons, where a node of NIR does exactly the same.

Norse (1.1) advances a neuron by its own ``dt``.  With a_mem = dt·tau_mem_inv and a_syn = dt·tau_syn_inv::

    LIF, LIFCell      j = i + x;  v += a_mem (v_leak - v + j);  i = (1 - a_syn) j;  spike v > v_th, then v = v_reset
    LIFRecurrent      the same with x = input_weights x + recurrent_weights z, z its spikes of the step before
    LI, LICell        the same without spikes; the output is v
    LIFBoxCell        v += a_mem (v_leak - v + x);  spike v > v_th, then v = v_reset, or v - v_th
    LIBoxCell         the same without spikes; the output is v
    IAF, IAFCell      v += x;  spike v > v_th, then v = v_reset

NIR's CubaLIF runs i += dt/tau_syn (w_in x - i) first.  Its i is Norse's j, where a_syn w_in = 1: j[t] = (1 - a_syn)
j[t-1] + x[t].  So the two agree step by step, without a delay, for tau_syn = dt/a_syn and w_in = 1/a_syn.

Norse starts v at v_leak (IAF: at v_reset) and NIR at 0.  Spikes do not change when v is counted from its start, so
that is subtracted from v_leak, v_th and v_reset; an integrator sends v itself, so it must start at 0.

A cell takes one step [B, ...] and hands on its state; the layers LIF, LI and IAF take [T, B, ...], as does Lift.
Modules are told by the names of their types, so that Norse need not be installed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from nirbridge.exporting.builder import GraphBuilder
from nirbridge.exporting.call import Call, Handler, join
from nirbridge.exporting.cells import Array, numbers
from nirbridge.exporting.feedback import fed_back
from nirbridge.exporting.layers import linear
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, State, Unknown, find_all, require_leading
from nirbridge.exporting.states import LEAVE_STATES, others
from nirbridge.ir import MultiLevelLIF

_HOME = "norse.torch.module"
_SEQUENCE = "norse.torch.module.sequential.SequentialState"
_KEEP_STATE = "Return the state of every cell from forward, as norse.torch.SequentialState does"


def is_neuron(module: nn.Module) -> bool:
    """Whether this is a module of Norse, or a subclass of one, that is lowered or refused as a whole."""
    homes = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__]
    return any(home.startswith(_HOME) for home in homes) and _SEQUENCE not in homes


def _lif(call: Call, module: Any, signal: Signal) -> nir.NIRNode:
    a_mem, a_syn = _rate(module, "tau_mem_inv"), _rate(module, "tau_syn_inv")
    leak, threshold, reset = _from(_value(module, "v_leak"), module)
    return nir.CubaLIF(
        **_filled(
            signal,
            tau_syn=call.builder.dt / a_syn,
            tau_mem=call.builder.dt / a_mem,
            r=1.0,
            v_leak=leak,
            v_threshold=threshold,
            v_reset=reset,
            w_in=1.0 / a_syn,
        )
    )


def _li(call: Call, module: Any, signal: Signal) -> nir.NIRNode:
    a_mem, a_syn = _rate(module, "tau_mem_inv"), _rate(module, "tau_syn_inv")
    _require_start_at_zero(module)
    dt = call.builder.dt
    fields = _filled(signal, tau_syn=dt / a_syn, tau_mem=dt / a_mem, r=1.0, v_leak=0.0, w_in=1.0 / a_syn)
    return nir.CubaLI(**fields)


def _lif_box(call: Call, module: Any, signal: Signal) -> nir.NIRNode:
    a_mem = _rate(module, "tau_mem_inv")
    leak, threshold, reset = _from(_value(module, "v_leak"), module)
    method = getattr(module.p.reset_method, "__name__", "")
    if method == "reset_value":
        tau = call.builder.dt / a_mem
        fields = _filled(signal, tau=tau, r=1.0, v_leak=leak, v_threshold=threshold, v_reset=reset)
        return nir.LIF(**fields)
    if method != "reset_subtract":
        raise RefusalError(f"reset method '{method}' is unknown", "Use reset_value or reset_subtract")
    # v counted from v_leak decays by 1 - a_mem; the amount v_th is still taken off whole.
    return MultiLevelLIF(
        shape=signal.shape,
        decay=1.0 - a_mem,
        gain=a_mem,
        v_init=np.zeros(()),
        lane_threshold=np.asarray(threshold)[None],
        lane_weight=np.ones(1),
        lane_reset=_value(module, "v_th")[None],
        v_reset=np.zeros(()),
        reset="subtract",
        boundary=">",
    )


def _li_box(call: Call, module: Any, signal: Signal) -> nir.NIRNode:
    tau = call.builder.dt / _rate(module, "tau_mem_inv")
    _require_start_at_zero(module)
    return nir.LI(**_filled(signal, tau=tau, r=1.0, v_leak=0.0))


def _iaf(call: Call, module: Any, signal: Signal) -> nir.NIRNode:
    _, threshold, reset = _from(_value(module, "v_reset"), module)
    return nir.IF(**_filled(signal, r=1.0, v_threshold=threshold, v_reset=reset))


def _value(module: Any, name: str) -> Array:
    return numbers(torch.as_tensor(getattr(module.p, name)))


def _rate(module: Any, name: str) -> Array:
    """dt·tau_inv, rounded as torch rounds it when it multiplies the two."""
    rate = numbers(module.dt * torch.as_tensor(getattr(module.p, name)))
    if not (rate > 0).all():
        raise RefusalError(f"dt·{name} is {rate.min():g}, which no time constant gives", f"Use a {name} above 0")
    return rate


def _from(start: Array, module: Any) -> tuple[Array, Array, Array]:
    """v_leak, v_th and v_reset counted from ``start``."""
    leak = _value(module, "v_leak") if hasattr(module.p, "v_leak") else start
    return leak - start, _value(module, "v_th") - start, _value(module, "v_reset") - start


def _require_start_at_zero(module: Any) -> None:
    leak = _value(module, "v_leak")
    if (leak != 0).any():
        found = f"v_leak {leak.max():g}: Norse starts its membrane there, a graph at 0"
        raise RefusalError(found, "Use v_leak=0 and add the offset to the output")


def _filled(signal: Signal, **values: Any) -> dict[str, Array]:
    """Every value in the features' full shape, as readers of plain NIR expect."""
    try:
        return {name: np.broadcast_to(np.float64(value), signal.shape).copy() for name, value in values.items()}
    except ValueError:
        raise RefusalError(
            f"its parameters do not broadcast to features {signal.shape}", "Check the input shape"
        ) from None


_STEPS = ("lif_feed_forward_step", "lif_feed_forward_adjoint_step", "li_feed_forward_step",
          "lif_box_feed_forward_step", "li_box_feed_forward_step", "iaf_feed_forward_step",
          "lif_step", "lif_adjoint_step")  # fmt: skip


def _neuron(leading: LeadingAxes, make: Callable[[Call, Any, Signal], nir.NIRNode]) -> Handler:
    def lower(call: Call, module: Any, input_tensor: Any, state: Any = None) -> tuple[Signal, State]:
        signal = _entering(call, module, input_tensor, state, leading)
        return call.emit(make(call, module, signal), signal), State(call.name)

    return lower


def _recurrent(leading: LeadingAxes) -> Handler:
    """LIF behind its own input weights, to which what it sent a step before comes back through weights too."""

    def lower(call: Call, module: Any, input_tensor: Any, state: Any = None) -> tuple[Any, State]:
        signal = _entering(call, module, input_tensor, state, leading)
        current = linear(replace(call, name=join(call.name, "input")), signal, module.input_weights)
        feedback = nn.Linear(*reversed(module.recurrent_weights.shape), bias=False, device="meta").eval()
        feedback.weight = nn.Parameter(module.recurrent_weights.detach())
        node = _lif(call, module, current)
        sent = fed_back(call, current, feedback, "recurrent", lambda: [call.emit(node, current)])
        return sent, State(call.name)

    return lower


def _entering(call: Call, module: Any, input_tensor: Any, state: Any, leading: LeadingAxes) -> Signal:
    """The input of a neuron that is called once, from rest, with time and batch where it wants them."""
    hint = "Use norse.torch.Lift around it, or a layer over time such as norse.torch.LIF"
    signal = require_leading(input_tensor, leading, hint)
    if find_all(State, state):
        raise RefusalError("is called again with the state of an earlier call", "Call each cell once a step")
    if state is not None:
        raise RefusalError("is given a state to start from; a graph starts at rest", "Pass no state")
    if getattr(module.activation, "__name__", "") not in _STEPS:
        raise RefusalError(f"runs the step {module.activation!r}", "Use Norse's own step")
    if leading is LeadingAxes.STEP:
        if call.name in call.builder.cells:
            raise RefusalError("is called twice a step, but has one state", "Use one cell for each place")
        call.builder.cells.append(call.name)
    return signal


def _lift(call: Call, module: Any, x: Any) -> Any:
    """Lift: the inner module at each step, its state carried on."""
    signal = require_leading(x[0] if isinstance(x, tuple) else x, LeadingAxes.TIME)
    result = call.call_module(module.lifted_module, call.name, (signal.over(LeadingAxes.STEP),), {})
    if find_all(Unknown, result):
        return result
    require_states(call.builder, result, call.name)
    pair = isinstance(result, (tuple, list)) and len(result) == 2
    output, state = result if module.is_stateful and pair else (result, None)
    if not isinstance(output, Signal) or (module.is_stateful and not pair):
        wanted = "its output and its state" if module.is_stateful else "its output alone"
        raise RefusalError(f"holds a module that does not return {wanted}, as Lift needs it to", "Return that")
    if others(state):
        raise RefusalError("holds a module whose state is more than the states of Norse's cells", LEAVE_STATES)
    lifted = output.over(LeadingAxes.TIME)
    return (lifted, state) if module.is_stateful else lifted


def require_states(builder: GraphBuilder, result: Any, path: str) -> None:
    """Refuses a cell whose state does not come out: it would start anew at each step.

    Args:
        builder: holds the graph so far.
        result: what the module that makes one step returned.
        path: the module; its nodes are looked at.
    """
    if find_all(Unknown, result):
        return
    returned = {state.cell for state in find_all(State, result)}
    for cell in builder.cells:
        if cell not in returned and (cell == path or not path or cell.startswith(f"{path}.")):
            found = "its state is not returned, so it would start anew at each step"
            builder.refuse(f"module '{cell}'", RefusalError(found, _KEEP_STATE))


_HANDLERS: dict[str, Handler] = {
    "lif.LIFCell": _neuron(LeadingAxes.STEP, _lif),
    "lif.LIF": _neuron(LeadingAxes.TIME, _lif),
    "lif.LIFRecurrentCell": _recurrent(LeadingAxes.STEP),
    "lif.LIFRecurrent": _recurrent(LeadingAxes.TIME),
    "leaky_integrator.LICell": _neuron(LeadingAxes.STEP, _li),
    "leaky_integrator.LI": _neuron(LeadingAxes.TIME, _li),
    "lif_box.LIFBoxCell": _neuron(LeadingAxes.STEP, _lif_box),
    "leaky_integrator_box.LIBoxCell": _neuron(LeadingAxes.STEP, _li_box),
    "iaf.IAFCell": _neuron(LeadingAxes.STEP, _iaf),
    "iaf.IAF": _neuron(LeadingAxes.TIME, _iaf),
    "lift.Lift": _lift,
}
MODULES: dict[str, Handler] = {f"{_HOME}.{name}": handler for name, handler in _HANDLERS.items()}
