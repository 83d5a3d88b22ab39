"""Node type → what its Lava Process gets in precision "fixed": the same cells, with integers for parameters.

The core has refused by then whatever integers cannot say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.checking.fixed_point import DECAY_ONE, leak_steps, whole
from nirbridge.ir import EventInput, MaxPool2d, MultiLevelLIF, PhaseDecode, PhaseEncode, PhaseIF, Place, TemporalMix
from nirbridge.ir import Product as ProductNode
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import LoweringTable, Plan, PlannedNode, entering_exponents, message_cost, sent_exponents
from nirbridge.runtime.phase_tables import decode_tables, encode_tables, fire_tables
from nirbridge_lava import integer_windows, lowering
from nirbridge_lava.cell import Cell
from nirbridge_lava.dynamics import Fire, Integrate, Lanes
from nirbridge_lava.integers import Current, Leak, Shifted
from nirbridge_lava.lowering import Lowering, flat

Array = NDArray[Any]

FIXED_LOWERING: LoweringTable[Lowering] = LoweringTable("lava")
_LEAST = -(2**62)
"""What padding counts as in a max pool of integers: below every message."""


def _vector(value: Any, planned: PlannedNode) -> Array:
    return flat(whole(value), planned.output_shape)


def _zeros(planned: PlannedNode, rows: int) -> Array:
    return np.zeros((rows, int(np.prod(planned.output_shape))), dtype=np.int64)


FIXED_LOWERING.register(nir.Input, EventInput, nir.Output, nir.Flatten, Place, ProductNode)(
    lambda planned, dt: lowering.LOWERING[type(planned.node)](planned, dt)
)


@FIXED_LOWERING.register(*lowering.SYNAPSES)
def _synapse(planned: PlannedNode, dt: float) -> Cell:
    """Weights stay in double precision, which holds them and every sum of theirs exactly."""
    cell = lowering.SYNAPSES[type(planned.node)](planned, dt)
    return cell if cell.bias is None else replace(cell, bias=whole(cell.bias))


@FIXED_LOWERING.register(nir.Scale)
def _scale(planned: PlannedNode, dt: float) -> Cell:
    return Cell("Scale", _vector(planned.node.scale, planned))


@FIXED_LOWERING.register(nir.Threshold)
def _threshold(planned: PlannedNode, dt: float) -> Cell:
    return Cell("Threshold", _vector(planned.node.threshold, planned))


_POOLS: dict[type[nir.NIRNode], tuple[str, int]] = {
    nir.SumPool2d: ("sum", 0),
    nir.AvgPool2d: ("integer mean", 0),
    MaxPool2d: ("max", _LEAST),
}


@FIXED_LOWERING.register(*_POOLS)
def _pool(planned: PlannedNode, dt: float) -> Cell:
    reduce, fill = _POOLS[type(planned.node)]
    return Cell("Pool2d", lowering.pooling(planned)._replace(reduce=reduce, fill=fill))


@FIXED_LOWERING.register(FirstSpikePool2d)
def _first_spike_pool(planned: PlannedNode, dt: float) -> Cell:
    pool = lowering.pooling(planned)._replace(fill=0)
    return Cell("FirstSpikePool2d", pool, window=planned.window)


@FIXED_LOWERING.register(TemporalMix)
def _temporal_mix(planned: PlannedNode, dt: float) -> Cell:
    return Cell("TemporalMix", whole(planned.node.weight), window=planned.window)


def _rows(table: Array, planned: PlannedNode) -> tuple[Array, ...]:
    """A table of a window, one flat vector for each phase."""
    return tuple(flat(row, planned.output_shape) for row in table)


@FIXED_LOWERING.register(PhaseEncode)
def _phase_encode(planned: PlannedNode, dt: float) -> Cell:
    tables = encode_tables(planned.node)
    return Cell("PhaseEncode", integer_windows.Encode(tables.fraction, _rows(tables.values, planned)))


@FIXED_LOWERING.register(PhaseDecode)
def _phase_decode(planned: PlannedNode, dt: float) -> Cell:
    tables = decode_tables(planned.node)
    parameters = integer_windows.Sum(flat(tables.start, planned.output_shape), tables.gains)
    return Cell("PhaseDecode", parameters, window=planned.window)


@FIXED_LOWERING.register(PhaseIF)
def _phase_fire(planned: PlannedNode, dt: float) -> Cell:
    tables = fire_tables(planned.node)
    total = integer_windows.Sum(flat(tables.start, planned.output_shape), tables.gains)
    parameters = integer_windows.Fire(total, planned.node.wait, _rows(tables.limits, planned))
    return Cell("PhaseIF", parameters, window=planned.window)


@FIXED_LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, dt: float) -> Cell:
    p = lowering.lanes_of(planned)
    parameters = Lanes(
        decay=whole(DECAY_ONE * p.decay),
        gain=None if p.gain is None else whole(p.gain),
        threshold=whole(p.threshold),
        inclusive=p.inclusive,
        weight=whole(p.weight),
        amount=None if p.amount is None else whole(p.amount),
        v_reset=None if p.v_reset is None else whole(p.v_reset),
    )
    start = np.broadcast_to(whole(planned.node.v_init), planned.output_shape)
    return Cell("MultiLevelLIF", parameters, start.reshape(1, -1))


def _fire(planned: PlannedNode) -> Fire | None:
    node, amount = planned.node, planned.reset_amount
    if not hasattr(node, "v_threshold"):
        return None
    taken = None if amount is None else _vector(amount, planned)
    return Fire(_vector(node.v_threshold, planned), _vector(node.v_reset, planned), taken)


def _leak(planned: PlannedNode, tau: Any, dt: float) -> Leak:
    return Leak(_vector(DECAY_ONE - leak_steps(dt, tau), planned), _fire(planned))


@FIXED_LOWERING.register(nir.I, nir.IF)
def _integrate(planned: PlannedNode, dt: float) -> Cell:
    parameters = Integrate(_vector(planned.node.r, planned), _fire(planned))
    return Cell(type(planned.node).__name__, parameters, _zeros(planned, 1))


@FIXED_LOWERING.register(nir.LI, nir.LIF)
def _leaky(planned: PlannedNode, dt: float) -> Cell:
    return Cell(type(planned.node).__name__, _leak(planned, planned.node.tau, dt), _zeros(planned, 1))


@FIXED_LOWERING.register(nir.CubaLI, nir.CubaLIF)
def _current(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    kept = _vector(DECAY_ONE - leak_steps(dt, node.tau_syn), planned)
    return Cell(type(node).__name__, Current(kept, _leak(planned, node.tau_mem, dt)), _zeros(planned, 2))


@FIXED_LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, dt: float) -> Cell:
    steps = lowering.steps_of(planned, dt)
    return Cell("Delay", steps, _zeros(planned, int(steps.max())))


_SHIFTS = {"MatrixSynapse": "MatrixShift", "ConvSynapse": "ConvShift", "AggregateSynapse": "AggregateShift"}


def fixed_cells(plan: Plan) -> dict[str, Cell | None]:
    """All nodes lowered; a synapse whose messages are powers of two shifts instead of multiplying."""
    cells = {planned.name: FIXED_LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
    sent = sent_exponents(plan)
    for planned in plan.nodes:
        cell = cells[planned.name]
        if cell is None or cell.process not in _SHIFTS:
            continue
        exponents = entering_exponents(planned, sent)
        if exponents is not None and message_cost(exponents) == "shift":
            parameters = Shifted(cell.parameters, exponents)
            cells[planned.name] = replace(cell, process=_SHIFTS[cell.process], parameters=parameters)
    return cells
