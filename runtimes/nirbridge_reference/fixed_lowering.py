"""Node type → stage in precision "fixed": functions on integers, and the neurons of fixed_neurons and fixed_windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import nir
import numpy as np

from nirbridge.ir import MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import Array, LoweringTable, PlannedNode
from nirbridge_reference import fixed_neurons, fixed_windows, linear, windows
from nirbridge_reference.lowering import FUNCTIONS, Lowering, delay, reset_of
from nirbridge_reference.stages import Stage, Stateless, Stepwise, Windowed, WindowedNeuron

FIXED_LOWERING: LoweringTable[Lowering] = LoweringTable("reference")

_STATELESS: dict[type[nir.NIRNode], Callable[[Any, Array], Array]] = {
    **FUNCTIONS,
    nir.AvgPool2d: linear.integer_average_pool,
}
"""Those of floating point take integers as they are, but for the mean."""


@FIXED_LOWERING.register(*_STATELESS)
def _stateless(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Stateless(partial(_STATELESS[type(planned.node)], planned.node))


_WINDOWED: dict[type[nir.NIRNode], Callable[[Any, Array], Array]] = {
    TemporalMix: windows.temporal_mix,
    PhaseEncode: fixed_windows.phase_encode,
    FirstSpikePool2d: windows.first_spike_pool,
}
_PHASE_NEURONS: dict[type[nir.NIRNode], Callable[[Any, Array], tuple[Array, Array]]] = {
    PhaseDecode: fixed_windows.phase_decode,
    PhaseIF: fixed_windows.phase_integrate_and_fire,
}


@FIXED_LOWERING.register(*_WINDOWED)
def _windowed(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Windowed(planned.window, partial(_WINDOWED[type(planned.node)], planned.node))


@FIXED_LOWERING.register(*_PHASE_NEURONS)
def _phase_neuron(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return WindowedNeuron(planned.window, partial(_PHASE_NEURONS[type(planned.node)], planned.node))


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
    return Stepwise(partial(_ONE_STATE[type(planned.node)], planned.node, dt=dt, **reset_of(planned)), start)


@FIXED_LOWERING.register(*_TWO_STATES)
def _two_states(planned: PlannedNode, batch: int, dt: float) -> Stage:
    start = _start(planned, batch, 0)
    return Stepwise(partial(_TWO_STATES[type(planned.node)], planned.node, dt=dt, **reset_of(planned)), (start, start))


@FIXED_LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return delay(planned, batch, dt, np.int64)


def _start(planned: PlannedNode, batch: int, value: Any) -> Array:
    return np.broadcast_to(np.rint(np.asarray(value)).astype(np.int64), (batch, *planned.output_shape))
