"""spikingjelly's neurons and layers (0.0.0.0.14, 2.0.0.dev1), where graph nodes do exactly the same.

With V counted from ``v_reset`` (from 0 where it is None), where its membrane starts::

    IFNode               V += x
    LIFNode              V += (x - V)/tau;  without decay_input V = (1 - 1/tau) V + x
    ParametricLIFNode    the same with 1/tau = sigmoid(w)
    spike V >= v_threshold - v_reset, then V = 0;  where v_reset is None, V -= v_threshold

``step_mode`` says where time stands: "s" takes one step [B, ...], "m" takes [T, B, ...].
"""

from __future__ import annotations

from typing import Any

from torch import nn

from nirbridge.exporting import layers
from nirbridge.exporting.call import Call, Handler, join
from nirbridge.exporting.cells import first_call, numbers, require_positive, require_steps, spiking
from nirbridge.exporting.framework import Framework, Readings
from nirbridge.exporting.signal import LeadingAxes, Signal, require_leading

_HOME = "spikingjelly.activation_based"
_MODES = {"s": LeadingAxes.STEP, "m": LeadingAxes.TIME}
_MODE = "Use spikingjelly's functional.set_step_mode on the whole network"


def _neuron(call: Call, module: Any, x: Any, rate: Any) -> Signal:
    """IF, LIF or ParametricLIF; ``rate`` is 1/tau, None where nothing leaks."""
    signal = first_call(call, x, _MODES[module.step_mode], _MODE)
    require_steps(module.surrogate_function, at_zero=True)  # a soft one is for gradients alone, or sent as it is
    soft = module.v_reset is None
    start = 0.0 if soft else module.v_reset
    threshold = require_positive("v_threshold - v_reset", module.v_threshold - start)
    node = spiking(
        call,
        signal,
        decay=1.0 if rate is None else 1 - rate,
        gain=rate if rate is not None and module.decay_input else 1.0,
        thresholds=threshold[None],
        amounts=threshold[None] if soft else None,
        boundary=">=",
    )
    return call.emit(node, signal)


def _layer(handler: Handler) -> Handler:
    """torch's own layer, in mode "m" on [T*B, ...]."""

    def lower(call: Call, module: Any, input: Any) -> Signal:
        if module.step_mode == "s":
            return handler(call, module, input)
        output: Signal = handler(call, module, require_leading(input, LeadingAxes.TIME, _MODE).over(LeadingAxes.FOLDED))
        return output.over(LeadingAxes.TIME)

    return lower


def _container(inside: LeadingAxes) -> Handler:
    """Its layers one behind the other, on other leading axes than [T, B, ...]."""

    def lower(call: Call, module: Any, x_seq: Any) -> Any:
        value: Any = require_leading(x_seq, LeadingAxes.TIME, _MODE).over(inside)
        for name, inner in module.named_children():
            value = call.call_module(inner, join(call.name, name), (value,), {})
        return value.over(LeadingAxes.TIME) if isinstance(value, Signal) else value

    return lower


def _readings(module: nn.Module) -> Readings:
    over_time = any(getattr(inner, "step_mode", "s") == "m" for inner in module.modules())
    return (LeadingAxes.TIME,) if over_time else (LeadingAxes.STEP,)


_WRAPPED = (
    nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten,
)  # fmt: skip
_HANDLERS: dict[str, dict[str, Handler]] = {
    "neuron.integrate_and_fire": {"IFNode": lambda call, module, x: _neuron(call, module, x, None)},
    "neuron.lif": {"LIFNode": lambda call, module, x: _neuron(call, module, x, numbers(1 / module.tau))},
    "neuron.plif": {
        "ParametricLIFNode": lambda call, module, x: _neuron(call, module, x, numbers(module.w.sigmoid())),
    },
    "layer.stateless_wrapper": {
        "Linear": layers.MODULES[nn.Linear],
        **{kind.__name__: _layer(layers.MODULES[kind]) for kind in _WRAPPED},
    },
    "layer.bn": {kind.__name__: _layer(layers.MODULES[kind]) for kind in (nn.BatchNorm1d, nn.BatchNorm2d)},
    "layer.dropout": {"Dropout": layers.same, "Dropout2d": layers.same},
    "layer.container": {
        "SeqToANNContainer": _container(LeadingAxes.FOLDED),
        "MultiStepContainer": _container(LeadingAxes.STEP),
    },
}
"""File of the development version → type → handler; in the releases one file holds all neurons, another all layers."""
_MODULES: dict[str, Handler] = {
    f"{_HOME}.{home}.{name}": handler
    for file, handlers in _HANDLERS.items()
    for home in (file, file.partition(".")[0])
    for name, handler in handlers.items()
}
FRAMEWORK = Framework(
    name="spikingjelly",
    homes=(f"{_HOME}.neuron", f"{_HOME}.layer"),
    modules=_MODULES,
    unlike={
        "QIFNode": "charges by the square of its membrane, which no node does",
        "EIFNode": "charges by an exponential of its membrane, which no node does",
        "IzhikevichNode": "has the equations of Izhikevich, which no node has",
        "LIAFNode": "sends an analog function of its membrane, which no node does",
        "KLIFNode": "rectifies and scales its membrane, which no node does",
    },
    instead="Use IFNode, LIFNode or ParametricLIFNode; spikingjelly's own exporter, nir_exchange of its development "
    "version, takes no others either",
    readings=_readings,
)
