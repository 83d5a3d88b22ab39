"""Node type → stage.  To add a primitive: its function in neurons, linear or windows, and an entry here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

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
from nirbridge.runtime import Array, LoweringTable, PlannedNode
from nirbridge_reference import linear, neurons, windows
from nirbridge_reference.stages import Stage, Stateless, Stepwise, Windowed, WindowedNeuron

Lowering = Callable[[PlannedNode, int, float], Stage]
LOWERING: LoweringTable[Lowering] = LoweringTable("reference")

FUNCTIONS: dict[type[nir.NIRNode], Callable[[Any, Array], Array]] = {
    nir.Input: lambda node, x: x,
    nir.Output: lambda node, x: x,
    EventInput: lambda node, x: x,
    nir.Affine: linear.affine,
    nir.Linear: lambda node, x: linear.linear(node.weight, x),
    nir.Scale: linear.scale,
    nir.Conv1d: linear.convolution,
    nir.Conv2d: linear.convolution,
    nir.SumPool2d: linear.sum_pool,
    nir.AvgPool2d: linear.average_pool,
    MaxPool2d: linear.max_pool,
    nir.Flatten: linear.flatten,
    Aggregate: linear.aggregate,
    Place: linear.place,
    Product: linear.product,
    nir.Threshold: neurons.threshold,
}


@LOWERING.register(*FUNCTIONS)
def _stateless(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Stateless(partial(FUNCTIONS[type(planned.node)], planned.node))


@LOWERING.register(Quantize)
def _quantize(planned: PlannedNode, batch: int, dt: float) -> Stage:
    """In the middle of a graph, which integers have no form of; behind an Input the host does it."""
    return Stateless(planned.node.integers)


_WINDOWED: dict[type[nir.NIRNode], Callable[[Any, Array], Array]] = {
    TemporalMix: windows.temporal_mix,
    PhaseEncode: windows.phase_encode,
    FirstSpikePool2d: windows.first_spike_pool,
}
_PHASE_NEURONS: dict[type[nir.NIRNode], Callable[[Any, Array], tuple[Array, Array]]] = {
    PhaseDecode: windows.phase_decode,
    PhaseIF: windows.phase_integrate_and_fire,
}


@LOWERING.register(*_WINDOWED)
def _windowed(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Windowed(planned.window, partial(_WINDOWED[type(planned.node)], planned.node))


@LOWERING.register(*_PHASE_NEURONS)
def _phase_neuron(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return WindowedNeuron(planned.window, partial(_PHASE_NEURONS[type(planned.node)], planned.node))


def reset_of(planned: PlannedNode) -> dict[str, Array]:
    """The argument by which a neuron resets by subtraction; none where it sets v_reset."""
    return {} if planned.reset_amount is None else {"amount": planned.reset_amount}


_IN_STEPS: dict[type[nir.NIRNode], Callable[..., Any]] = {
    nir.I: neurons.integrator,
    nir.IF: neurons.integrate_and_fire,
}


@LOWERING.register(*_IN_STEPS)
def _in_steps(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return Stepwise(partial(_IN_STEPS[type(planned.node)], planned.node, **reset_of(planned)), _zeros(planned, batch))


_IN_SECONDS: dict[type[nir.NIRNode], Callable[..., Any]] = {
    nir.LI: neurons.leaky_integrator,
    nir.LIF: neurons.leaky_integrate_and_fire,
}


@LOWERING.register(*_IN_SECONDS)
def _in_seconds(planned: PlannedNode, batch: int, dt: float) -> Stage:
    step = partial(_IN_SECONDS[type(planned.node)], planned.node, dt=dt, **reset_of(planned))
    return Stepwise(step, _zeros(planned, batch))


_WITH_SYNAPSE: dict[type[nir.NIRNode], Callable[..., Any]] = {
    nir.CubaLI: neurons.current_leaky_integrator,
    nir.CubaLIF: neurons.current_leaky_integrate_and_fire,
}


@LOWERING.register(*_WITH_SYNAPSE)
def _with_synapse(planned: PlannedNode, batch: int, dt: float) -> Stage:
    state = (_zeros(planned, batch), _zeros(planned, batch))
    return Stepwise(partial(_WITH_SYNAPSE[type(planned.node)], planned.node, dt=dt, **reset_of(planned)), state)


@LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, batch: int, dt: float) -> Stage:
    start = np.broadcast_to(np.asarray(planned.node.v_init, dtype=np.float64), (batch, *planned.output_shape))
    return Stepwise(partial(neurons.multi_level, planned.node), start)


@LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, batch: int, dt: float) -> Stage:
    return delay(planned, batch, dt, np.float64)


def delay(planned: PlannedNode, batch: int, dt: float, dtype: type[np.generic]) -> Stage:
    """y(t) = x(t - delay), each neuron with its own delay in whole steps, 0 before the first input."""
    steps = np.broadcast_to(delay_steps(planned.node.delay, dt), planned.output_shape)
    line: Array = np.zeros((int(steps.max()) + 1, batch, *planned.output_shape), dtype)

    def step(x: Array, past: Array) -> tuple[Array, Array]:
        past = np.concatenate([x[None], past[:-1]])
        return np.take_along_axis(past, steps[None, None], axis=0)[0], past

    return Stepwise(step, line)


def _zeros(planned: PlannedNode, batch: int) -> Array:
    return np.zeros((batch, *planned.output_shape))
