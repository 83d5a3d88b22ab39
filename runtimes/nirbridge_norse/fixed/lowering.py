"""Node type → stage in precision "fixed"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import torch
from torch import Tensor

from nirbridge.runtime import LoweringTable, PlannedNode
from nirbridge_norse.fixed.bytes import integer_synapse
from nirbridge_norse.fixed.neuron import FixedModule
from nirbridge_norse.fixed.parameters import fixed_parameters
from nirbridge_norse.lowering import LOWERING
from nirbridge_norse.pooling import integer_mean_pool
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Neuron, Stage, Stateless, Written, wide
from nirbridge_norse.windowed import Windowed
from nirbridge_norse.windows import window_stage

FIXED_LOWERING: LoweringTable[Callable[[PlannedNode, Setting], Stage]] = LoweringTable("norse")

_AS_IN_FLOAT = (
    *("identity", "flatten", "matrix", "scale", "convolution", "sum pool", "max pool", "delay", "threshold"),
    *("aggregate", "place", "product", "temporal mix", "first spike pool"),
)
"""Nodes without a state of their own: float64 holds their integers exactly."""


@FIXED_LOWERING.register(*_AS_IN_FLOAT)
def _as_in_float(planned: PlannedNode, setting: Setting) -> Stage:
    stage = LOWERING[type(planned.node)](planned, setting)
    if isinstance(stage, (Stateless, Windowed, Written)):
        return EitherPrecision(stage, LOWERING[type(planned.node)](planned, _single(setting)))
    return stage


def _single(setting: Setting) -> Setting:
    return replace(setting, dtype=torch.float32, any_value=True)


FIXED_LOWERING.register("mean pool")(integer_mean_pool)
FIXED_LOWERING.register("window")(partial(window_stage, integers=True))


def byte_synapse(planned: PlannedNode, setting: Setting) -> EitherPrecision:
    """A synapse that reads bytes; its weights in floating point are made once something else enters."""
    lower = LOWERING[type(planned.node)]
    found = EitherPrecision(
        *(Stateless(_when_needed(partial(lower, planned, how))) for how in (setting, _single(setting)))
    )
    found.bytes = Stateless(integer_synapse(planned), reads_bytes=True)
    return found


def _when_needed(make: Callable[[], Stage]) -> Callable[[Tensor], Tensor]:
    made = cache(make)
    return lambda x: made().function(x)  # type: ignore[attr-defined]


class EitherPrecision(Stage):
    """A synapse in double and in single precision: the dtype of what enters says which one is exact."""

    def __init__(self, wide: Stage, narrow: Stage) -> None:
        self.wide, self.narrow = wide, narrow
        self.library = wide.library
        self.bytes: Stage | None = None
        self.waits = isinstance(wide, Stateless) and isinstance(narrow, Stateless)
        self.factor = wide.factor

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """In the dtype of ``x``."""
        stage = self._of(x.dtype)
        return stage.run(_taken(stage, x), scratch)

    def function(self, x: Tensor) -> Tensor:
        """The same of some frames [N, *in], where both are :class:`Stateless`."""
        stage = self._of(x.dtype)
        assert isinstance(stage, Stateless)
        return stage.function(_taken(stage, x))

    def _of(self, dtype: torch.dtype) -> Stage:
        if dtype is torch.uint8:
            return self.narrow if self.bytes is None else self.bytes
        return self.wide if dtype is torch.float64 else self.narrow

    def again(self) -> Stage:
        """Another one."""
        found = EitherPrecision(self.wide.again(), self.narrow.again())
        found.bytes, found.chooses = self.bytes, self.chooses
        return found


def _taken(stage: Stage, x: Tensor) -> Tensor:
    """What the stage gets: bytes where it takes them."""
    return x if isinstance(stage, (Written, Windowed)) or stage.reads_bytes else wide(x)


@FIXED_LOWERING.register("step", "lanes")
def _neuron(planned: PlannedNode, setting: Setting) -> Stage:
    return Neuron(FixedModule(fixed_parameters(planned, setting)))
