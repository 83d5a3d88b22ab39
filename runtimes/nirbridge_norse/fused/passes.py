"""From a neuron's parameters to a pass over [T, N] data, prepared once and called for every block of steps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.machine_code import numba_is_there
from nirbridge.runtime.stepping import Stepping
from nirbridge_norse.fused.elsewhere import foreign_pass
from nirbridge_norse.fused.generating import all_steps, pass_name
from nirbridge_norse.fused.layout import Order, make_layout
from nirbridge_norse.neurons.lanes import LaneParameters, LaneTable, MembraneState

if TYPE_CHECKING:
    from nirbridge_norse.fused.kernels import Lanes

Array = NDArray[Any]
Pass = Callable[[Array, Array], Callable[[], None]]
"""``pass(data, out)``, both [T, N] and perhaps the same memory, gives what runs over them; the states are bound."""
MakePass = Callable[[Any, Any, Order, int], Pass]
"""``(p, state, order, batch) -> pass``; the state's tensors [B, *features] are dense in that order."""

FEW_LANES = 8
SHORTEST_RUN = 32
"""Neurons side by side that must share lanes for sweeps by lane to beat a search for each neuron."""


def find_step_pass(stepping: Stepping) -> MakePass | None:
    """How to make the pass of a primitive's step; None for one that no pass can be written for."""
    if not numba_is_there():
        return None
    name = pass_name(stepping.step)
    if all_steps().get(name, (None,))[0] is stepping.step:
        return partial(_generated_pass, name, stepping)
    kernel = foreign_pass(stepping.step, stepping.state)
    return None if kernel is None else partial(_step_pass, kernel)


def _generated_pass(name: str, stepping: Stepping, p: Any, state: Any, order: Order, batch: int) -> Pass:
    from nirbridge_norse.fused import steps  # and so numba, with the first run

    # A primitive whose pass has not been written to the file yet has one of its own.
    kernel = getattr(steps, name, None) or foreign_pass(stepping.step, stepping.state)
    return _step_pass(kernel, p, state, order, batch)


def _step_pass(kernel: Callable[..., None], p: Any, state: Any, order: Order, batch: int) -> Pass:
    layout = make_layout(order, batch, p)
    parameters = tuple(layout.parameters(value) for value in p)
    states = tuple(order.flat(value) for value in state)

    return lambda data, out: partial(kernel, data, out, states, parameters, layout.chunks)


def lane_pass(p: LaneParameters, state: MembraneState, order: Order, batch: int) -> Pass:
    """MultiLevelLIF: a sweep by lane where lanes are few and shared by neighbours, else a search."""
    from nirbridge_norse.fused import kernels

    swept = are_few_and_shared(p.lanes, order)
    fields = p.decay, p.gain, p.v_reset, p.lanes.group
    layout = make_layout(order, batch, fields, p.lanes.group if swept else None)
    neurons = kernels.Neurons(*map(layout.parameters, fields))
    tables = lane_tables(p.lanes, p.at_least, p.subtract)
    fixed = order.flat(state.v), neurons, tables, (p.subtract, swept), layout.chunks

    return lambda data, out: partial(kernels.run_lanes, data, out, *fixed)


def lane_tables(lanes: LaneTable, at_least: bool, subtract: bool) -> Lanes:
    """The tables as the kernels want them."""
    from nirbridge_norse.fused.kernels import TOGETHER, Lanes

    threshold, weight, amount = (table.numpy() for table in (lanes.threshold, lanes.weight, lanes.amount))
    if at_least:  # u >= threshold where u passes the number below it
        threshold = np.nextafter(threshold, -np.inf, dtype=threshold.dtype)
    if not subtract:
        amount = np.concatenate([amount[:1], np.ones_like(amount[1:])])
    more = -len(threshold) % TOGETHER
    return Lanes(*(np.concatenate([table, *[table[-1:]] * more]) for table in (threshold, weight, amount)))


def are_few_and_shared(lanes: LaneTable, order: Order) -> bool:
    """Whether sweeps by lane beat a search for each neuron."""
    if len(lanes.threshold) > FEW_LANES:
        return False
    group = order.laid_out(lanes.group)
    runs = 1 + np.count_nonzero(np.diff(group))
    return lanes.threshold.shape[1] == 1 or len(group) >= SHORTEST_RUN * int(runs)
