"""From a neuron's parameters to a pass over [T, N] data in place, prepared once and called for every block of steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from nirbridge_norse.functional import (
    CubaLIFParameters,
    CubaLIParameters,
    CurrentState,
    IFParameters,
    IParameters,
    LaneTable,
    LIFParameters,
    LIParameters,
    MembraneState,
    MultiLevelLIFParameters,
)
from nirbridge_norse.fused import kernels
from nirbridge_norse.fused.layout import make_layout

Array = NDArray[Any]
Pass = Callable[[Array, Any], None]
"""``run(data [T, N], state)``: overwrites inputs with outputs and the state with the state after them."""

FEW_LANES = 8
SHORTEST_RUN = 32
"""Neurons side by side that must share lanes for sweeps by lane to beat a search for each neuron."""


def integrate_pass(p: IParameters | IFParameters, features: tuple[int, ...], batch: int) -> Pass:
    """I and IF."""
    layout = make_layout(features, batch)
    r = layout.parameters(p.r)
    limit, after, flags = _firing(p, layout.parameters, r)

    def run(data: Array, state: MembraneState) -> None:
        kernels.integrate(data, _flat(state.v), r, limit, after, *flags, layout.chunks)

    return run


def leak_pass(p: LIParameters | LIFParameters, features: tuple[int, ...], batch: int) -> Pass:
    """LI and LIF."""
    layout = make_layout(features, batch)
    rate, v_leak, r = (layout.parameters(field) for field in (p.dt_over_tau, p.v_leak, p.r))
    limit, after, flags = _firing(p, layout.parameters, r)

    def run(data: Array, state: MembraneState) -> None:
        kernels.leak(data, _flat(state.v), rate, v_leak, r, limit, after, *flags, layout.chunks)

    return run


def current_pass(p: CubaLIParameters | CubaLIFParameters, features: tuple[int, ...], batch: int) -> Pass:
    """CubaLI and CubaLIF."""
    layout = make_layout(features, batch)
    fields = (p.dt_over_tau_syn, p.w_in, p.dt_over_tau_mem, p.v_leak, p.r)
    constants = tuple(layout.parameters(field) for field in fields)
    limit, after, flags = _firing(p, layout.parameters, constants[-1])

    def run(data: Array, state: CurrentState) -> None:
        kernels.current_leak(data, _flat(state.i), _flat(state.v), *constants, limit, after, *flags, layout.chunks)

    return run


def multilevel_pass(p: MultiLevelLIFParameters, features: tuple[int, ...], batch: int) -> Pass:
    """MultiLevelLIF: a sweep by lane where lanes are few and shared by neighbours, else a search."""
    swept = _lanes_are_few_and_shared(p.lanes, features)
    layout = make_layout(features, batch, p.lanes.group.numpy() if swept else None)
    decay, gain, reset = (layout.parameters(field) for field in (p.decay, p.gain, p.v_reset))
    tables = tuple(table.numpy() for table in (p.lanes.threshold, p.lanes.weight, p.lanes.amount))
    flags = (p.reset == "subtract", p.boundary == ">=")
    group = () if swept else (layout.parameters(p.lanes.group),)
    kernel = kernels.few_lanes if swept else kernels.many_lanes

    def run(data: Array, state: MembraneState) -> None:
        kernel(data, _flat(state.v), decay, gain, *group, *tables, reset, *flags, layout.chunks)

    return run


def _lanes_are_few_and_shared(lanes: LaneTable, features: tuple[int, ...]) -> bool:
    if len(lanes.threshold) > FEW_LANES:
        return False
    group = np.broadcast_to(lanes.group.numpy(), features).ravel()
    runs = 1 + np.count_nonzero(np.diff(group))
    return lanes.threshold.shape[1] == 1 or len(group) >= SHORTEST_RUN * int(runs)


def _firing(p: Any, laid_out: Callable[[Tensor], Array], unused: Array) -> tuple[Array, Array, tuple[bool, bool]]:
    """(threshold, v_reset or amount, (spiking, subtract)); a neuron that sends its membrane passes unread vectors."""
    if not hasattr(p, "v_threshold"):
        return unused, unused, (False, False)
    subtract = p.amount is not None
    return laid_out(p.v_threshold), laid_out(p.amount if subtract else p.v_reset), (True, subtract)


def _flat(state: Tensor) -> Array:
    flat: Array = state.numpy().reshape(-1)
    return flat
