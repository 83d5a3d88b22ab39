"""Node type → stage.  To add a primitive: its function in linear or windows, or its module, and an entry here.

The table names functions and loads their modules, and so torch, with the first node that is lowered: what it holds can
be asked for free.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

import nir
import numpy as np

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    TemporalMix,
    delay_steps,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import LoweringTable, PlannedNode

if TYPE_CHECKING:
    from nirbridge_norse.functional import MultiLevelLIFParameters
    from nirbridge_norse.setting import Setting
    from nirbridge_norse.stages import Stage


LOWERING: LoweringTable[Callable[[PlannedNode, Setting], Stage]] = LoweringTable("norse")


def _late(module: str) -> Any:
    return import_module(f"nirbridge_norse.{module}")


_VIEWS: dict[type[nir.NIRNode], str] = {
    nir.Input: "identity",
    nir.Output: "identity",
    EventInput: "identity",
    nir.Flatten: "flatten",
}
"""Node type → its function in linear."""


@LOWERING.register(*_VIEWS)
def _view(planned: PlannedNode, setting: Setting) -> Stage:
    function = getattr(_late("linear"), _VIEWS[type(planned.node)])
    return _late("stages").Stateless(function(planned, setting), view=True)


_FUNCTIONS: dict[type[nir.NIRNode], str] = {
    nir.Affine: "matrix",
    nir.Linear: "matrix",
    nir.Scale: "scale",
    nir.Conv1d: "convolution",
    nir.Conv2d: "convolution",
    nir.SumPool2d: "mean_or_sum_pool",
    nir.AvgPool2d: "mean_or_sum_pool",
    MaxPool2d: "max_pool",
    nir.Threshold: "threshold",
    Aggregate: "aggregate",
    Place: "place",
    Product: "product",
    Quantize: "quantize",
}
"""Node type → its function in linear."""


@LOWERING.register(*_FUNCTIONS)
def _stateless(planned: PlannedNode, setting: Setting) -> Stage:
    function = getattr(_late("linear"), _FUNCTIONS[type(planned.node)])
    return _late("stages").Stateless(function(planned, setting))


_WINDOWED: dict[type[nir.NIRNode], str] = {
    TemporalMix: "temporal_mix",
    PhaseEncode: "phase_encode",
    FirstSpikePool2d: "first_spike_pool",
}
_PHASE_NEURONS: dict[type[nir.NIRNode], str] = {
    PhaseDecode: "phase_decode",
    PhaseIF: "phase_integrate_and_fire",
}
"""Node type → its function in windows, likewise above."""


@LOWERING.register(*_WINDOWED)
def _windowed(planned: PlannedNode, setting: Setting) -> Stage:
    function = getattr(_late("windows"), _WINDOWED[type(planned.node)])
    return _late("stages").Windowed(planned.window, function(planned, setting))


@LOWERING.register(*_PHASE_NEURONS)
def _phase_neuron(planned: PlannedNode, setting: Setting) -> Stage:
    function = getattr(_late("windows"), _PHASE_NEURONS[type(planned.node)])
    return _late("stages").WindowedNeuron(planned.window, function(planned, setting))


Field = Callable[[Any, float], Any]


def _share(name: str) -> Field:
    """dt/tau, divided in double precision as the reference does."""
    return lambda node, dt: dt / getattr(node, name)


def _plain(*names: str) -> dict[str, Field]:
    return {name: partial(lambda name, node, dt: getattr(node, name), name) for name in names}


_FIRING = _plain("v_threshold", "v_reset")
_LEAK = {"dt_over_tau": _share("tau"), **_plain("v_leak", "r")}
_CURRENT = {
    "dt_over_tau_syn": _share("tau_syn"),
    "dt_over_tau_mem": _share("tau_mem"),
    **_plain("w_in", "v_leak", "r"),
}
_NEURONS: dict[type[nir.NIRNode], dict[str, Field]] = {
    nir.I: _plain("r"),
    nir.IF: {**_plain("r"), **_FIRING},
    nir.LI: _LEAK,
    nir.LIF: {**_LEAK, **_FIRING},
    nir.CubaLI: _CURRENT,
    nir.CubaLIF: {**_CURRENT, **_FIRING},
}
"""Node type X → the fields of functional.XParameters, which modules.NIRX takes."""


@LOWERING.register(*_NEURONS)
def _neuron(planned: PlannedNode, setting: Setting) -> Stage:
    kind = type(planned.node)
    module = getattr(_late("modules"), f"NIR{kind.__name__}")
    parameters = getattr(_late("functional"), f"{kind.__name__}Parameters")
    values = {name: setting.tensor(field(planned.node, setting.dt)) for name, field in _NEURONS[kind].items()}
    if planned.reset_amount is not None:
        values["amount"] = setting.tensor(planned.reset_amount)
    return _late("stages").Neuron(module(parameters(**values), setting.dt))


@LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, setting: Setting) -> Stage:
    module = _late("modules").MultiLevelLIF(multilevel_parameters(planned.node, setting), setting.dt)
    return _late("stages").Neuron(module)


def multilevel_parameters(node: MultiLevelLIF, setting: Setting) -> MultiLevelLIFParameters:
    """The parameters of Norse's module for the node."""
    functional = _late("functional")
    values = {name: setting.tensor(getattr(node, name)) for name in ("decay", "gain", "v_init", "v_reset")}
    fields = (node.lane_threshold, node.lane_weight, node.lane_reset)
    lanes = functional.lane_table(*(setting.tensor(field) for field in fields))
    return functional.MultiLevelLIFParameters(**values, lanes=lanes, reset=node.reset, boundary=node.boundary)


@LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, setting: Setting) -> Stage:
    steps = np.broadcast_to(delay_steps(planned.node.delay, setting.dt), planned.output_shape)
    return _late("stages").DelayLine(import_module("torch").tensor(steps, device=setting.device))
