"""Node type → stage in precision "fixed": the stateless functions on integers, and the neurons of fixed_neurons."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import numpy as np

from nirbridge.ir import Aggregate, EventInput, MaxPool2d, MultiLevelLIF
from nirbridge.runtime import Array, LoweringTable, PlannedNode
from nirbridge_reference import fixed_neurons
from nirbridge_reference.lowering import FUNCTIONS, Lowering, delay
from nirbridge_reference.stages import Stage, Stateless, Stepwise

FIXED_LOWERING: LoweringTable[Lowering] = LoweringTable("reference")

_STATELESS: tuple[type[nir.NIRNode], ...] = (
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
    nir.Threshold,
    Aggregate,
)


@FIXED_LOWERING.register(*_STATELESS)
def _stateless(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Stateless(partial(FUNCTIONS[type(planned.node)], planned.node))


_ONE_STATE: dict[type[nir.NIRNode], Callable[..., Any]] = {
    nir.I: fixed_neurons.integrator,
    nir.IF: fixed_neurons.integrate_and_fire,
    nir.LI: fixed_neurons.leaky_integrator,
    nir.LIF: fixed_neurons.leaky_integrate_and_fire,
    MultiLevelLIF: fixed_neurons.multi_level,
}
_TWO_STATES: dict[type[nir.NIRNode], Callable[..., Any]] = {
    nir.CubaLI: fixed_neurons.current_leaky_integrator,
    nir.CubaLIF: fixed_neurons.current_leaky_integrate_and_fire,
}


@FIXED_LOWERING.register(*_ONE_STATE)
def _one_state(planned: PlannedNode, batch: int, dt: float) -> Stage:
    start = _start(planned, batch, getattr(planned.node, "v_init", 0))
    return Stepwise(partial(_ONE_STATE[type(planned.node)], planned.node, dt=dt), start)


@FIXED_LOWERING.register(*_TWO_STATES)
def _two_states(planned: PlannedNode, batch: int, dt: float) -> Stage:
    start = _start(planned, batch, 0)
    return Stepwise(partial(_TWO_STATES[type(planned.node)], planned.node, dt=dt), (start, start))


@FIXED_LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return delay(planned, batch, dt, np.int64)


def _start(planned: PlannedNode, batch: int, value: Any) -> Array:
    return np.broadcast_to(np.rint(np.asarray(value)).astype(np.int64), (batch, *planned.output_shape))
