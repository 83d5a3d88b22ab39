"""What every kind of cell does with the steps that it gets: the one table behind both mappings.

A :class:`~nirbridge_lava.lowering.Cell` names its behaviour; a Lava Process of its own and a process that holds the
whole graph look it up here, so a node means the same in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge_lava import dynamics, integer_windows, integers, kernels, windows
from nirbridge_lava.cell import Cell

Array = NDArray[Any]
Behaviour = Callable[[Cell, Array, Any, "list[Array] | None"], tuple[Array, Any]]
"""(cell, x (T, samples, n), state, membranes) → (y (T', samples, n'), new state).

``membranes``, where it is a list, is given the membrane after each step.
"""


def pointwise(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node whose output at a step depends on that step alone."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        return function(cell.parameters, x), state

    return behave


def stepwise(step: Callable[[Any, Array, Array], tuple[Array, Array]]) -> Behaviour:
    """A node with a state, one step after the other."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        sent = []
        for frame in x:
            y, state = step(cell.parameters, frame, state)
            sent.append(y)
            if membranes is not None:
                membranes.append(state[-1])
        # One step at a time is how data stream, and stacking one array costs as much as the step.
        return (y[None] if len(sent) == 1 else np.stack(sent)), state

    return behave


def windowed(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node that takes whole windows and keeps nothing between them."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        ends = range(0, len(x), cell.window)
        return np.concatenate([function(cell.parameters, x[t : t + cell.window]) for t in ends]), state

    return behave


def windowed_neuron(function: Callable[[Any, Array], tuple[Array, Array]]) -> Behaviour:
    """The same with a state within the window, which the function gives for each of its steps."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        found = [function(cell.parameters, x[t : t + cell.window]) for t in range(0, len(x), cell.window)]
        if membranes is not None:
            membranes += [v for _, states in found for v in states]
        return np.concatenate([y for y, _ in found]), state

    return behave


FLOAT: dict[str, Behaviour] = {
    "MultiLevelLIF": stepwise(dynamics.lanes_step),
    "I": stepwise(dynamics.integrate_step),
    "IF": stepwise(dynamics.integrate_step),
    "LI": stepwise(dynamics.leak_step),
    "LIF": stepwise(dynamics.leak_step),
    "CubaLI": stepwise(dynamics.current_step),
    "CubaLIF": stepwise(dynamics.current_step),
    "Delay": stepwise(dynamics.delay_step),
    "ConvSynapse": pointwise(kernels.convolve),
    "MatrixSynapse": pointwise(kernels.product),
    "AggregateSynapse": pointwise(kernels.aggregate),
    "Pool2d": pointwise(kernels.pool),
    "Scale": pointwise(kernels.scale),
    "Threshold": pointwise(kernels.threshold),
    "SlotPlace": pointwise(kernels.place),
    "SlotProduct": pointwise(kernels.multiply),
    "Quantize": pointwise(kernels.quantize),
    "PhaseEncode": windowed(windows.phase_encode),
    "PhaseDecode": windowed_neuron(windows.phase_decode),
    "PhaseIF": windowed_neuron(windows.phase_fire),
    "FirstSpikePool2d": windowed(windows.first_spike_pool),
    "TemporalMix": windowed(windows.temporal_mix),
}
"""Behaviours in double precision."""

FIXED: dict[str, Behaviour] = {
    "MultiLevelLIF": stepwise(integers.lanes_step),
    "I": stepwise(integers.integrate_step),
    "IF": stepwise(integers.integrate_step),
    "LI": stepwise(integers.leak_step),
    "LIF": stepwise(integers.leak_step),
    "CubaLI": stepwise(integers.current_step),
    "CubaLIF": stepwise(integers.current_step),
    "Delay": stepwise(dynamics.delay_step),
    "ConvSynapse": pointwise(integers.convolve),
    "MatrixSynapse": pointwise(integers.product),
    "ConvShift": pointwise(integers.shifted_convolve),
    "MatrixShift": pointwise(integers.shifted_product),
    "AggregateShift": pointwise(integers.shifted_aggregate),
    "AggregateSynapse": pointwise(integers.aggregate),
    "Pool2d": pointwise(kernels.pool),
    "Scale": pointwise(kernels.scale),
    "Threshold": pointwise(kernels.threshold),
    "SlotPlace": pointwise(kernels.place),
    "SlotProduct": pointwise(kernels.multiply),
    "PhaseEncode": windowed(integer_windows.phase_encode),
    "PhaseDecode": windowed_neuron(integer_windows.phase_decode),
    "PhaseIF": windowed_neuron(integer_windows.phase_fire),
    "FirstSpikePool2d": windowed(windows.first_spike_pool),
    "TemporalMix": windowed(windows.temporal_mix),
}
"""Behaviours on integers."""
