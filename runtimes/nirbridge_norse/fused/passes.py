"""From a neuron's parameters to a pass over [T, N] data in place, prepared once and called for every block of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.runtime.stepping import Stepping
from nirbridge_norse.fused import numba_is_there
from nirbridge_norse.fused.elsewhere import foreign_pass
from nirbridge_norse.fused.generating import all_steps, pass_name
from nirbridge_norse.fused.layout import make_layout
from nirbridge_norse.neurons.lanes import LaneParameters, LaneTable, MembraneState

Array = NDArray[Any]
Pass = Callable[[Array, Any], None]
MakePass = Callable[[Any, tuple[int, ...], int], Pass]

FEW_LANES = 8
SHORTEST_RUN = 32
"""Neurons side by side that must share lanes for sweeps by lane to beat a search for each neuron."""


def find_step_pass(stepping: Stepping) -> MakePass | None:
    """How to make the pass of a primitive's step; None for one that no pass can be written for."""
    if not numba_is_there():
        return None
    name = pass_name(stepping.step)
    from nirbridge_norse.fused import steps

    if all_steps().get(name, (None,))[0] is stepping.step and hasattr(steps, name):
        return partial(_step_pass, getattr(steps, name))
    kernel = foreign_pass(stepping.step, stepping.state)
    return None if kernel is None else partial(_step_pass, kernel)


def _step_pass(kernel: Callable[..., None], p: Any, features: tuple[int, ...], batch: int) -> Pass:
    layout = make_layout(features, batch)
    parameters = tuple(layout.parameters(value) for value in p)

    def run(data: Array, state: Any) -> None:
        kernel(data, tuple(map(_flat, state)), parameters, layout.chunks)

    return run


def lane_pass(p: LaneParameters, features: tuple[int, ...], batch: int) -> Pass:
    """MultiLevelLIF: a sweep by lane where lanes are few and shared by neighbours, else a search."""
    from nirbridge_norse.fused import kernels

    swept = _lanes_are_few_and_shared(p.lanes, features)
    layout = make_layout(features, batch, p.lanes.group.numpy() if swept else None)
    neurons = kernels.Neurons(*(layout.parameters(field) for field in (p.decay, p.gain, p.v_reset, p.lanes.group)))
    lanes = kernels.Lanes(*(table.numpy() for table in (p.lanes.threshold, p.lanes.weight, p.lanes.amount)))
    how = (p.reset == "subtract", p.boundary == ">=")
    kernel = kernels.few_lanes if swept else kernels.many_lanes

    def run(data: Array, state: MembraneState) -> None:
        kernel(data, _flat(state.v), neurons, lanes, how, layout.chunks)

    return run


def _lanes_are_few_and_shared(lanes: LaneTable, features: tuple[int, ...]) -> bool:
    if len(lanes.threshold) > FEW_LANES:
        return False
    group = np.broadcast_to(lanes.group.numpy(), features).ravel()
    runs = 1 + np.count_nonzero(np.diff(group))
    return lanes.threshold.shape[1] == 1 or len(group) >= SHORTEST_RUN * int(runs)


def _flat(state: Tensor) -> Array:
    flat: Array = state.numpy().reshape(-1)
    return flat
