"""What a node does → what its Lava Process is and gets, in double precision.  Nothing here needs Lava."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from nirbridge.ir import MultiLevelLIF, is_input
from nirbridge.primitives import pooling
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.delay import delay_steps, delayed
from nirbridge.primitives.first_spike_pool2d import first_spikes
from nirbridge.primitives.integers import whole
from nirbridge.primitives.place import placed
from nirbridge.primitives.pooling import Spans
from nirbridge.primitives.product import multiplied
from nirbridge.primitives.shaping import pairs
from nirbridge.primitives.sparse import dense
from nirbridge.primitives.temporal_mix import mixed
from nirbridge.runtime import Array, LoweringTable, Plan, PlannedNode
from nirbridge.runtime.stepping import stepping_of, window_of
from nirbridge_lava import dynamics, kernels, windows
from nirbridge_lava.cell import Cell, pointwise, same, stepwise, windowed, windowed_neuron
from nirbridge_lava.dynamics import Lanes
from nirbridge_lava.kernels import Convolve, Product

Lowering = Callable[[PlannedNode, float], Cell | None]


def flat(value: Any, shape: tuple[int, ...]) -> Array:
    """A parameter as a vector of the node's size; one number stays one number."""
    array = np.asarray(value)
    return array.reshape(()) if array.size == 1 else np.broadcast_to(array, shape).reshape(-1)


def _end(planned: PlannedNode, dt: float) -> Cell | None:
    """An input's frames come from shared memory; ports are flat, so an output is a connection and no process."""
    return Cell("FrameSource", same) if is_input(planned.node) else None


def _wire(planned: PlannedNode, dt: float) -> None:
    """Likewise."""
    return


def framed(process: str, function: Callable[[Any], Callable[[Array], Array]]) -> Lowering:
    """A node without a state, of which ``function`` makes one of frames [N, *shape]."""

    def lower(planned: PlannedNode, dt: float) -> Cell:
        return Cell(process, pointwise(kernels.framed), (function(planned.node), planned.input_shape))

    return lower


def pool(function: Callable[[Spans, Array], Array]) -> Lowering:
    """The lowering of a pool, per step."""
    return framed("Pool2d", lambda node: partial(function, pooling.spans(node)))


def first_spike_pool(planned: PlannedNode, dt: float) -> Cell:
    """Of phase codes."""
    parameters = partial(first_spikes, pooling.spans(planned.node)), planned.input_shape
    return Cell("FirstSpikePool2d", windowed(windows.framed), parameters, window=planned.window)


def temporal_mix(planned: PlannedNode, dt: float, dtype: type[np.generic]) -> Cell:
    """Mixes the steps of a window."""
    return Cell("TemporalMix", windowed(mixed), planned.node.weight.astype(dtype), window=planned.window)


def window(integers: bool) -> Lowering:
    """A node that says itself what it does with a whole window."""

    def lower(planned: PlannedNode, dt: float) -> Cell:
        run = window_of(planned, integers, lambda array: flat(array, planned.output_shape))
        name = type(planned.node).__name__
        # All that its state holds is the membrane at each step of the window.
        return Cell(name, windowed_neuron(windows.run_window), run, membrane=slice(None), window=planned.window)

    return lower


def delay(planned: PlannedNode, dt: float, dtype: type[np.generic]) -> Cell:
    """Each neuron's input, its own number of whole steps later."""
    steps = np.broadcast_to(delay_steps(planned.node.delay, dt), planned.output_shape).reshape(-1)
    return Cell("Delay", stepwise(delayed), steps, np.zeros((int(steps.max()), steps.size), dtype))


def table(integers: bool) -> LoweringTable[Lowering]:
    """A table without what computes otherwise in integers: synapses, neurons, the mean and what rounds."""
    dtype, cast = (np.int64, whole) if integers else (np.float64, np.asarray)
    found: LoweringTable[Lowering] = LoweringTable("lava")
    for operation, lower in {
        "identity": _end,
        "flatten": _wire,
        "scale": framed("Scale", lambda node: partial(np.multiply, cast(node.scale))),
        "threshold": framed("Threshold", lambda node: partial(kernels.threshold, cast(node.threshold))),
        "sum pool": pool(pooling.sums),
        "max pool": pool(pooling.maxima),
        "first spike pool": first_spike_pool,
        "place": framed("SlotPlace", lambda node: partial(placed, node)),
        "product": framed("SlotProduct", lambda node: partial(multiplied, node)),
        "temporal mix": partial(temporal_mix, dtype=dtype),
        "delay": partial(delay, dtype=dtype),
        "window": window(integers),
    }.items():
        found.register(operation)(lower)
    return found


LOWERING = table(integers=False)
LOWERING.register("mean pool")(pool(pooling.means))
# In the middle of a graph; behind an Input the host does it.
LOWERING.register("quantize")(framed("Quantize", lambda node: node.integers))


@LOWERING.register("matrix")
def matrix(planned: PlannedNode, dt: float) -> Cell:
    """W x, with the bias beside it."""
    node, shape = planned.node, planned.output_shape
    weight = np.asarray(node.weight, dtype=np.float64)
    bias = np.broadcast_to(node.bias, shape).reshape(-1) if hasattr(node, "bias") else None
    return Cell("MatrixSynapse", pointwise(kernels.product), Product(weight, planned.input_shape), latency=1, bias=bias)


@LOWERING.register("convolution")
def convolution(planned: PlannedNode, dt: float) -> Cell:
    """A convolution, with the bias beside it."""
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
    flat_bias = np.broadcast_to(bias, planned.output_shape).reshape(-1)
    return Cell("ConvSynapse", pointwise(kernels.convolve), parameters, latency=1, bias=flat_bias)


@LOWERING.register("aggregate")
def aggregate(planned: PlannedNode, dt: float) -> Cell:
    """W x over the nodes of a graph network."""
    weight = dense(planned.node.weight).astype(np.float64)
    return Cell("AggregateSynapse", pointwise(kernels.aggregate), Product(weight, planned.input_shape), latency=1)


@LOWERING.register("step")
def _step(planned: PlannedNode, dt: float) -> Cell:
    """The primitive's own function, on flat vectors."""
    found, shape = stepping_of(planned, dt), planned.output_shape
    parameters = found, tuple(flat(value, shape) for value in found.parameters.values())
    start = np.stack([np.broadcast_to(value, shape).reshape(-1) for value in found.start])
    name = type(planned.node).__name__
    return Cell(name, stepwise(dynamics.run_step), parameters, start, slice(found.membrane, found.membrane + 1))


@LOWERING.register("lanes")
def _lanes(planned: PlannedNode, dt: float) -> Cell:
    node, shape = planned.node, planned.output_shape
    start = np.broadcast_to(np.asarray(node.v_init, dtype=np.float64), shape).reshape(1, -1)
    return Cell("MultiLevelLIF", stepwise(dynamics.lanes_step), lanes_of(node, shape), start)


def lanes_of(node: MultiLevelLIF, shape: tuple[int, ...]) -> Lanes:
    """The parameters of a multi-level neuron; lanes that all neurons share stay shared."""
    return Lanes(
        decay=flat(node.decay, shape),
        gain=None if np.all(node.gain == 1) else flat(node.gain, shape),
        v_reset=flat(node.v_reset, shape) if node.reset == "value" else None,
        inclusive=node.boundary == ">=",
        **lane_rows(node.lane_threshold, node.lane_weight, node.lane_reset, node.reset == "subtract", shape),
    )


def lane_rows(threshold: Array, weight: Array, amount: Array, subtract: bool, shape: tuple[int, ...]) -> dict[str, Any]:
    """(S, ...) lane fields as ``threshold`` and, with a row for no lane before them, ``weight`` and ``amount``."""
    fields = (threshold, weight, amount)
    if all(field[0].size == 1 for field in fields):
        limits, values, taken = (field.reshape(len(threshold)) for field in fields)
    else:
        limits, values, taken = (
            np.stack([np.broadcast_to(lane, shape).reshape(-1) for lane in field]) for field in fields
        )
    none = np.zeros((1, *values.shape[1:]), values.dtype)
    by_what_is_sent = subtract and np.array_equal(values, taken)
    return {
        "threshold": limits,
        "weight": np.concatenate([none, values]),
        "amount": None if by_what_is_sent else np.concatenate([none, taken]),
    }


def float_cells(plan: Plan) -> dict[str, Cell | None]:
    """All nodes lowered."""
    return {planned.name: LOWERING[type(planned.node)](planned, plan.dt) for planned in plan.nodes}
