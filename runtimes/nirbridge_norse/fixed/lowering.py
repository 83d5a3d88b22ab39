"""Node type → stage in precision "fixed"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nir
import torch
from torch import Tensor

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    TemporalMix,
)
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import LoweringTable, PlannedNode
from nirbridge_norse.fixed import windows
from nirbridge_norse.fixed.neuron import FixedNeuron
from nirbridge_norse.fixed.parameters import NEURONS, fixed_parameters
from nirbridge_norse.linear import integer_mean_pool
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Kept, Stage, Stateless, Windowed, WindowedNeuron

FIXED_LOWERING: LoweringTable[Callable[[PlannedNode, Setting], Stage]] = LoweringTable("norse")

_AS_IN_FLOAT: tuple[type[nir.NIRNode], ...] = (
    nir.Input,
    nir.Output,
    EventInput,
    nir.Affine,
    nir.Linear,
    nir.Scale,
    nir.Conv1d,
    nir.Conv2d,
    nir.SumPool2d,
    MaxPool2d,
    nir.Flatten,
    nir.Delay,
    nir.Threshold,
    Aggregate,
    Place,
    Product,
    TemporalMix,
    FirstSpikePool2d,
)
"""Nodes without a state of their own: float64 holds their integers exactly."""


@FIXED_LOWERING.register(*_AS_IN_FLOAT)
def _as_in_float(planned: PlannedNode, setting: Setting) -> Stage:
    wide = LOWERING[type(planned.node)](planned, setting)
    if isinstance(wide, (Stateless, Windowed)) and not wide.view:
        single = replace(setting, dtype=torch.float32, any_value=True)
        return EitherPrecision(wide, LOWERING[type(planned.node)](planned, single))
    return wide


@FIXED_LOWERING.register(nir.AvgPool2d)
def _average(planned: PlannedNode, setting: Setting) -> Stage:
    return Stateless(integer_mean_pool(planned, setting))


@FIXED_LOWERING.register(PhaseEncode)
def _encode(planned: PlannedNode, setting: Setting) -> Stage:
    return Windowed(planned.window, windows.phase_encode(planned, setting))


_PHASE_NEURONS: dict[type[nir.NIRNode], Callable[[PlannedNode, Setting], Callable[[Tensor, Kept], Tensor]]] = {
    PhaseIF: windows.phase_integrate_and_fire,
    PhaseDecode: windows.phase_decode,
}


@FIXED_LOWERING.register(*_PHASE_NEURONS)
def _phase_neuron(planned: PlannedNode, setting: Setting) -> Stage:
    return WindowedNeuron(planned.window, _PHASE_NEURONS[type(planned.node)](planned, setting))


class EitherPrecision:
    """A synapse in double and in single precision: the dtype of what enters says which one is exact."""

    view = False
    membranes: list[Tensor] | None = None

    def __init__(self, wide: Stage, narrow: Stage) -> None:
        self.stages = {torch.float64: wide, torch.float32: narrow}

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """In the dtype of ``x``."""
        return self.stages[x.dtype].run(x, scratch)

    def reset(self) -> None:
        """There is no state."""


@FIXED_LOWERING.register(*NEURONS)
def _neuron(planned: PlannedNode, setting: Setting) -> Stage:
    return FixedNeuron(fixed_parameters(planned.node, setting, planned.reset_amount), planned.output_shape)
