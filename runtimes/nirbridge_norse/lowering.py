"""Node type → stage.  To add a primitive: its function in linear or windows, or its module, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor

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
    TemporalMix,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import LoweringTable, PlannedNode
from nirbridge_norse import functional, linear, modules, windows
from nirbridge_norse.modules.fused_snn import FusedSNN
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import DelayLine, Kept, Neuron, Stage, Stateless, Windowed, WindowedNeuron

Builder = Callable[[PlannedNode, Setting], Callable[[Tensor], Tensor]]
PhaseBuilder = Callable[[PlannedNode, Setting], Callable[[Tensor, Kept], Tensor]]
LOWERING: LoweringTable[Callable[[PlannedNode, Setting], Stage]] = LoweringTable("norse")

_VIEWS: dict[type[nir.NIRNode], Builder] = {
    nir.Input: linear.identity,
    nir.Output: linear.identity,
    EventInput: linear.identity,
    nir.Flatten: linear.flatten,
}


@LOWERING.register(*_VIEWS)
def _view(planned: PlannedNode, setting: Setting) -> Stage:
    return Stateless(_VIEWS[type(planned.node)](planned, setting), view=True)


_FUNCTIONS: dict[type[nir.NIRNode], Builder] = {
    nir.Affine: linear.matrix,
    nir.Linear: linear.matrix,
    nir.Scale: linear.scale,
    nir.Conv1d: linear.convolution,
    nir.Conv2d: linear.convolution,
    nir.SumPool2d: linear.mean_or_sum_pool,
    nir.AvgPool2d: linear.mean_or_sum_pool,
    MaxPool2d: linear.max_pool,
    nir.Threshold: linear.threshold,
    Aggregate: linear.aggregate,
    Place: linear.place,
    Product: linear.product,
}


@LOWERING.register(*_FUNCTIONS)
def _stateless(planned: PlannedNode, setting: Setting) -> Stage:
    return Stateless(_FUNCTIONS[type(planned.node)](planned, setting))


_WINDOWED: dict[type[nir.NIRNode], Builder] = {
    TemporalMix: windows.temporal_mix,
    PhaseEncode: windows.phase_encode,
    FirstSpikePool2d: windows.first_spike_pool,
}
_PHASE_NEURONS: dict[type[nir.NIRNode], PhaseBuilder] = {
    PhaseDecode: windows.phase_decode,
    PhaseIF: windows.phase_integrate_and_fire,
}


@LOWERING.register(*_WINDOWED)
def _windowed(planned: PlannedNode, setting: Setting) -> Stage:
    return Windowed(planned.window, _WINDOWED[type(planned.node)](planned, setting))


@LOWERING.register(*_PHASE_NEURONS)
def _phase_neuron(planned: PlannedNode, setting: Setting) -> Stage:
    return WindowedNeuron(planned.window, _PHASE_NEURONS[type(planned.node)](planned, setting))


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
_NEURONS: dict[type[nir.NIRNode], tuple[Callable[..., FusedSNN], Callable[..., Any], dict[str, Field]]] = {
    nir.I: (modules.NIRI, functional.IParameters, _plain("r")),
    nir.IF: (modules.NIRIF, functional.IFParameters, {**_plain("r"), **_FIRING}),
    nir.LI: (modules.NIRLI, functional.LIParameters, _LEAK),
    nir.LIF: (modules.NIRLIF, functional.LIFParameters, {**_LEAK, **_FIRING}),
    nir.CubaLI: (modules.NIRCubaLI, functional.CubaLIParameters, _CURRENT),
    nir.CubaLIF: (modules.NIRCubaLIF, functional.CubaLIFParameters, {**_CURRENT, **_FIRING}),
}


@LOWERING.register(*_NEURONS)
def _neuron(planned: PlannedNode, setting: Setting) -> Stage:
    module, parameters, fields = _NEURONS[type(planned.node)]
    values = {name: setting.tensor(field(planned.node, setting.dt)) for name, field in fields.items()}
    if planned.reset_amount is not None:
        values["amount"] = setting.tensor(planned.reset_amount)
    return Neuron(module(parameters(**values), setting.dt))


@LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, setting: Setting) -> Stage:
    return Neuron(modules.MultiLevelLIF(multilevel_parameters(planned.node, setting), setting.dt))


def multilevel_parameters(node: MultiLevelLIF, setting: Setting) -> functional.MultiLevelLIFParameters:
    """The parameters of Norse's module for the node."""
    values = {name: setting.tensor(getattr(node, name)) for name in ("decay", "gain", "v_init", "v_reset")}
    fields = (node.lane_threshold, node.lane_weight, node.lane_reset)
    lanes = functional.lane_table(*(setting.tensor(field) for field in fields))
    return functional.MultiLevelLIFParameters(**values, lanes=lanes, reset=node.reset, boundary=node.boundary)


@LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, setting: Setting) -> Stage:
    steps = np.rint(np.asarray(planned.node.delay) / setting.dt).astype(np.int64)
    return DelayLine(torch.tensor(np.broadcast_to(steps, planned.output_shape), device=setting.device))
