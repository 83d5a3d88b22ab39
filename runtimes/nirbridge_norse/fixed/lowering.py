"""Node type → stage in precision "fixed"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nir
import torch
from torch import Tensor

from nirbridge.ir import Aggregate, EventInput, MaxPool2d
from nirbridge.runtime import LoweringTable, PlannedNode
from nirbridge_norse.fixed.neuron import FixedNeuron
from nirbridge_norse.fixed.parameters import NEURONS, fixed_parameters
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage, Stateless

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
)
"""Nodes without a state of their own: float64 holds their integers exactly."""


@FIXED_LOWERING.register(*_AS_IN_FLOAT)
def _as_in_float(planned: PlannedNode, setting: Setting) -> Stage:
    wide = LOWERING[type(planned.node)](planned, setting)
    if isinstance(wide, Stateless) and not wide.view:
        return EitherPrecision(wide, LOWERING[type(planned.node)](planned, replace(setting, dtype=torch.float32)))
    return wide


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
    return FixedNeuron(fixed_parameters(planned.node, setting), planned.output_shape)
