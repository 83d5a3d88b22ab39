"""Node type → what its Lava Process is and gets, in double precision.  Nothing here needs Lava.

To add a primitive: its function in dynamics, kernels or windows, its behaviour, its Process, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Quantize,
    TemporalMix,
    delay_steps,
)
from nirbridge.ir import Product as ProductNode
from nirbridge.ir.shapes import conv_padding, pairs
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import LoweringTable, Plan, PlannedNode
from nirbridge_lava import windows
from nirbridge_lava.cell import Cell
from nirbridge_lava.dynamics import Current, Fire, Integrate, Lanes, Leak
from nirbridge_lava.kernels import Convolve, Grid, Pool, Product, Slot

Array = NDArray[Any]


Lowering = Callable[[PlannedNode, float], Cell | None]
LOWERING: LoweringTable[Lowering] = LoweringTable("lava")


def float_cells(plan: Plan) -> dict[str, Cell | None]:
    """All nodes lowered."""
    return {planned.name: LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}


def flat(value: Any, shape: tuple[int, ...]) -> Array:
    """A parameter as a vector of the node's size; one number stays one number."""
    array = np.asarray(value)
    return array.reshape(()) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1)


def _zeros(planned: PlannedNode, rows: int) -> Array:
    return np.zeros((rows, int(np.prod(planned.output_shape))))


@LOWERING.register(nir.Input, EventInput)
def _source(planned: PlannedNode, dt: float) -> Cell:
    return Cell("FrameSource")


@LOWERING.register(nir.Output, nir.Flatten)
def _wire(planned: PlannedNode, dt: float) -> None:
    """Ports are flat already, so these are connections and no processes."""
    return


def _matrix(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    weight = np.asarray(node.weight, dtype=np.float64)
    shape = planned.output_shape
    bias = np.broadcast_to(node.bias, shape).reshape(-1) if type(node) is nir.Affine else None
    return Cell("MatrixSynapse", Product(weight, planned.input_shape), steps=1, bias=bias)


def _convolution(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    weight = np.asarray(node.weight, dtype=np.float64)
    axes, groups = weight.ndim - 2, int(node.groups)
    parameters = Convolve(
        weight=weight.reshape(groups, weight.shape[0] // groups, -1),
        shape=planned.input_shape,
        kernel=weight.shape[2:],
        padding=conv_padding(node),
        stride=pairs(node.stride, axes),
        dilation=pairs(node.dilation, axes),
    )
    bias = np.asarray(node.bias, dtype=np.float64).reshape(-1, *(1,) * axes)
    return Cell("ConvSynapse", parameters, steps=1, bias=np.broadcast_to(bias, planned.output_shape).reshape(-1))


@LOWERING.register(nir.Scale)
def _scale(planned: PlannedNode, dt: float) -> Cell:
    return Cell("Scale", flat(planned.node.scale, planned.output_shape))


@LOWERING.register(nir.Threshold)
def _threshold(planned: PlannedNode, dt: float) -> Cell:
    return Cell("Threshold", flat(planned.node.threshold, planned.output_shape))


_POOLS: dict[type[nir.NIRNode], tuple[str, float]] = {
    nir.SumPool2d: ("sum", 0.0),
    nir.AvgPool2d: ("mean", 0.0),
    MaxPool2d: ("max", -np.inf),
    FirstSpikePool2d: ("any", 0.0),
}


def pooling(planned: PlannedNode) -> Pool:
    """The parameters of any spatial pool."""
    node = planned.node
    reduce, fill = _POOLS[type(node)]
    kernel, padding, stride = (pairs(value, 2) for value in (node.kernel_size, node.padding, node.stride))
    return Pool(reduce, fill, planned.input_shape, kernel, padding, stride)


@LOWERING.register(nir.SumPool2d, nir.AvgPool2d, MaxPool2d)
def _pool(planned: PlannedNode, dt: float) -> Cell:
    return Cell("Pool2d", pooling(planned))


@LOWERING.register(FirstSpikePool2d)
def _first_spike_pool(planned: PlannedNode, dt: float) -> Cell:
    return Cell("FirstSpikePool2d", pooling(planned), window=planned.window)


def _aggregate(planned: PlannedNode, dt: float) -> Cell:
    weight = planned.node.dense_weight().astype(np.float64)
    return Cell("AggregateSynapse", Product(weight, planned.input_shape), steps=1)


@LOWERING.register(Place)
def _place(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    return Cell("SlotPlace", Slot(node.input_shape, node.output_shape, node.start, node.stop))


@LOWERING.register(ProductNode)
def _product(planned: PlannedNode, dt: float) -> Cell:
    return Cell("SlotProduct", planned.node.factors)


@LOWERING.register(Quantize)
def _quantize(planned: PlannedNode, dt: float) -> Cell:
    """In the middle of a graph; behind an Input the host does it."""
    node, shape = planned.node, planned.output_shape
    return Cell("Quantize", Grid(*(flat(value, shape) for value in (node.step, node.low, node.high))))


@LOWERING.register(TemporalMix)
def _temporal_mix(planned: PlannedNode, dt: float) -> Cell:
    return Cell("TemporalMix", planned.node.weight.astype(np.float64), window=planned.window)


def _phase_values(node: PhaseEncode | PhaseDecode) -> tuple[float, ...]:
    return tuple(node.base**-k for k in range(1, node.phases + 1))


@LOWERING.register(PhaseEncode)
def _phase_encode(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    return Cell("PhaseEncode", windows.Encode(_phase_values(node), flat(node.scale, planned.output_shape)))


@LOWERING.register(PhaseDecode)
def _phase_decode(planned: PlannedNode, dt: float) -> Cell:
    node = planned.node
    parameters = windows.Decode(_phase_values(node), flat(node.v_init, planned.output_shape))
    return Cell("PhaseDecode", parameters, window=planned.window)


@LOWERING.register(PhaseIF)
def _phase_fire(planned: PlannedNode, dt: float) -> Cell:
    node, shape = planned.node, planned.output_shape
    first = node.first_phase - 1
    middle = (1 + 1 / node.base_out) / 2 if node.rounding else 1.0
    theta = flat(node.v_threshold, shape)
    limits = tuple(
        theta * middle * node.base_in ** (node.wait + k + first) * node.base_out ** -(k + first)
        for k in range(1, node.phases + 1)
    )
    start = flat(node.v_init * node.base_in**first, shape)
    values = tuple(node.base_in ** -(t + first) for t in range(1, node.phases + 1))
    return Cell("PhaseIF", windows.Fire(node.base_in, start, values, node.wait, limits), window=planned.window)


@LOWERING.register(MultiLevelLIF)
def _multi_level(planned: PlannedNode, dt: float) -> Cell:
    start = np.broadcast_to(np.asarray(planned.node.v_init, dtype=np.float64), planned.output_shape)
    return Cell("MultiLevelLIF", lanes_of(planned), start.reshape(1, -1))


def lanes_of(planned: PlannedNode) -> Lanes:
    """The parameters of a multi-level neuron; lanes that all neurons share stay shared."""
    node, shape = planned.node, planned.output_shape
    lanes = (node.lane_threshold, node.lane_weight, node.lane_reset)
    if all(field[0].size == 1 for field in lanes):
        threshold, weight, amount = (field.reshape(node.lanes) for field in lanes)
    else:
        threshold, weight, amount = (
            np.stack([np.broadcast_to(lane, shape).reshape(-1) for lane in field]) for field in lanes
        )
    none = np.zeros((1, *weight.shape[1:]))
    by_what_is_sent = node.reset == "subtract" and np.array_equal(weight, amount)
    return Lanes(
        decay=flat(node.decay, shape),
        gain=None if np.all(node.gain == 1) else flat(node.gain, shape),
        threshold=threshold.astype(np.float64),
        inclusive=node.boundary == ">=",
        weight=np.concatenate([none, weight.astype(np.float64)]),
        amount=None if by_what_is_sent else np.concatenate([none, amount.astype(np.float64)]),
        v_reset=flat(node.v_reset, shape) if node.reset == "value" else None,
    )


def _fire(planned: PlannedNode) -> Fire:
    node, shape, amount = planned.node, planned.output_shape, planned.reset_amount
    taken = None if amount is None else flat(amount, shape)
    return Fire(flat(node.v_threshold, shape), flat(node.v_reset, shape), taken)


def _leak(planned: PlannedNode, tau: Any, dt: float, fire: Fire | None) -> Leak:
    node, shape = planned.node, planned.output_shape
    return Leak(flat(dt / tau, shape), flat(node.r, shape), flat(node.v_leak, shape), fire)


@LOWERING.register(nir.I)
def _integrator(planned: PlannedNode, dt: float) -> Cell:
    return Cell("I", Integrate(flat(planned.node.r, planned.output_shape), None), _zeros(planned, 1))


@LOWERING.register(nir.IF)
def _integrate_and_fire(planned: PlannedNode, dt: float) -> Cell:
    parameters = Integrate(flat(planned.node.r, planned.output_shape), _fire(planned))
    return Cell("IF", parameters, _zeros(planned, 1))


@LOWERING.register(nir.LI)
def _leaky(planned: PlannedNode, dt: float) -> Cell:
    return Cell("LI", _leak(planned, planned.node.tau, dt, None), _zeros(planned, 1))


@LOWERING.register(nir.LIF)
def _leaky_and_fire(planned: PlannedNode, dt: float) -> Cell:
    return Cell("LIF", _leak(planned, planned.node.tau, dt, _fire(planned)), _zeros(planned, 1))


@LOWERING.register(nir.CubaLI, nir.CubaLIF)
def _current(planned: PlannedNode, dt: float) -> Cell:
    node, shape = planned.node, planned.output_shape
    fire = _fire(planned) if type(node) is nir.CubaLIF else None
    membrane = _leak(planned, node.tau_mem, dt, fire)
    parameters = Current(flat(dt / node.tau_syn, shape), flat(node.w_in, shape), membrane)
    return Cell(type(node).__name__, parameters, _zeros(planned, 2))


@LOWERING.register(nir.Delay)
def _delay(planned: PlannedNode, dt: float) -> Cell:
    steps = steps_of(planned, dt)
    return Cell("Delay", steps, _zeros(planned, int(steps.max())))


def steps_of(planned: PlannedNode, dt: float) -> Array:
    """Each neuron's delay in whole steps."""
    return np.broadcast_to(delay_steps(planned.node.delay, dt), planned.output_shape).reshape(-1)


SYNAPSES: dict[type[nir.NIRNode], Callable[[PlannedNode, float], Cell]] = {
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    Aggregate: _aggregate,
}
"""Lowering of everything that has weights."""
for _kind, _rule in SYNAPSES.items():
    LOWERING.register(_kind)(_rule)
