"""Node type → what its Lava Process gets in precision "fixed": the same cells, with integers for parameters.

The core has refused by then whatever integers cannot say.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.checking.fixed_point import DECAY_ONE, leak_steps
from nirbridge.ir import EventInput, MaxPool2d, MultiLevelLIF
from nirbridge.runtime import LoweringTable, Plan, PlannedNode
from nirbridge_lava import lowering
from nirbridge_lava.cell import Cell
from nirbridge_lava.dynamics import Fire, Integrate, Lanes
from nirbridge_lava.integers import Current, Leak, Shifted
from nirbridge_lava.kernels import Convolve, Pool, Product
from nirbridge_lava.lowering import Lowering, flat

Array = NDArray[Any]

FIXED_LOWERING: LoweringTable[Lowering] = LoweringTable("lava")
_LEAST = -(2**62)
"""What padding counts as in a max pool of integers: below every message."""


def whole(value: Any) -> Array:
    """A parameter as int64."""
    return np.rint(np.asarray(value, dtype=np.float64)).astype(np.int64)


def _vector(value: Any, planned: PlannedNode) -> Array:
    return flat(whole(value), planned.output_shape)


def _zeros(planned: PlannedNode, rows: int) -> Array:
    return np.zeros((rows, int(np.prod(planned.output_shape))), dtype=np.int64)


FIXED_LOWERING.register(nir.Input, EventInput, nir.Output, nir.Flatten)(
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


@FIXED_LOWERING.register(nir.SumPool2d, MaxPool2d)
def _pool(planned: PlannedNode, dt: float) -> Cell:
    pool: Pool = lowering.pooling(planned)
    return Cell("Pool2d", pool._replace(fill=_LEAST if pool.reduce == "max" else 0))


@FIXED_LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, dt: float) -> Cell:
    p = lowering.lanes_of(planned)
    parameters = Lanes(
        decay=whole(DECAY_ONE * p.decay),
        gain=whole(p.gain),
        threshold=whole(p.threshold),
        inclusive=p.inclusive,
        weight=whole(p.weight),
        amount=whole(p.amount),
        v_reset=None if p.v_reset is None else whole(p.v_reset),
    )
    start = np.broadcast_to(whole(planned.node.v_init), planned.output_shape)
    return Cell("MultiLevelLIF", parameters, start.reshape(1, -1))


def _fire(planned: PlannedNode) -> Fire | None:
    node = planned.node
    return (
        Fire(_vector(node.v_threshold, planned), _vector(node.v_reset, planned)) if hasattr(node, "v_reset") else None
    )


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
    steps = lowering.delay_steps(planned, dt)
    return Cell("Delay", steps, _zeros(planned, int(steps.max())))


SPIKING: tuple[type[nir.NIRNode], ...] = (nir.Threshold, nir.IF, nir.LIF, nir.CubaLIF)
_TRANSPARENT: tuple[type[nir.NIRNode], ...] = (nir.Flatten, nir.Delay, MaxPool2d)
_SHIFTS: dict[type, str] = {Product: "MatrixShift", Convolve: "ConvShift"}


def fixed_cells(plan: Plan) -> dict[str, Cell | None]:
    """All nodes lowered; a synapse whose messages are powers of two shifts instead of multiplying."""
    cells = {planned.name: FIXED_LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
    for planned in plan.nodes:
        cell = cells[planned.name]
        if cell is None or cell.process not in ("MatrixSynapse", "ConvSynapse"):
            continue
        exponents = exponents_into(planned, plan)
        if exponents is not None and exponents != (0,):
            parameters = Shifted(cell.parameters, exponents)
            cells[planned.name] = Cell(_SHIFTS[type(cell.parameters)], parameters, None, cell.steps, cell.bias)
    return cells


def exponents_into(planned: PlannedNode, plan: Plan) -> tuple[int, ...] | None:
    """The exponents e of the messages 2^e that reach a node; None where they may be other numbers."""
    while len(planned.sources) == 1:
        planned = plan[planned.sources[0].name]
        if type(planned.node) in SPIKING:
            return (0,)
        if type(planned.node) is MultiLevelLIF:
            return _exponents(whole(planned.node.lane_weight))
        if type(planned.node) not in _TRANSPARENT:
            return None
    return None


def _exponents(weights: Array) -> tuple[int, ...] | None:
    values = sorted({int(value) for value in weights.ravel()})
    powers = all(value > 0 and value & (value - 1) == 0 for value in values)
    return tuple(value.bit_length() - 1 for value in values) if powers else None
