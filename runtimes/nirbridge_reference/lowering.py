"""What a node does → stage, in double precision.

A neuron runs its primitive's own step; what its Spec keeps by hand has a function in linear, or beside the primitive,
and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from functools import partial
from typing import Any

import numpy as np

from nirbridge.ir import TemporalMix
from nirbridge.primitives import pooling
from nirbridge.primitives.delay import delay_steps, delayed
from nirbridge.primitives.first_spike_pool2d import first_spikes
from nirbridge.primitives.place import placed
from nirbridge.primitives.product import multiplied
from nirbridge.primitives.sparse import dense
from nirbridge.primitives.temporal_mix import mixed
from nirbridge.runtime import Array, LoweringTable, PlannedNode
from nirbridge.runtime.states import LINE
from nirbridge.runtime.stepping import stepping_of, window_of
from nirbridge_reference import linear
from nirbridge_reference.stages import Stage, Stateless, Stepwise, Windowed

Lowering = Callable[[PlannedNode, int, float], Stage]


def stateless(function: Callable[[Any, Array], Array], dtype: type[np.generic]) -> Lowering:
    """A node whose output at a step depends on that step alone; its weight is cast once, and not at every step."""

    def lower(planned: PlannedNode, batch: int, dt: float) -> Stage:
        node: Any = copy(planned.node)
        if hasattr(node, "weight"):
            node.weight = dense(node.weight).astype(dtype, copy=False)
        return Stateless(partial(function, node))

    return lower


def pool(function: Callable[[pooling.Spans, Array], Array]) -> Callable[[Any, Array], Array]:
    """A function of spatial windows."""
    return lambda node, x: function(pooling.spans(node), x)


def windowed(function: Callable[[Any, Array], Array]) -> Lowering:
    """A node that takes whole windows."""
    return lambda planned, batch, dt: Windowed(planned.window, lambda x: (function(planned.node, x), None))


def mix(node: TemporalMix, x: Array) -> Array:
    """The steps of a window, mixed in their dtype."""
    return mixed(node.weight.astype(x.dtype, copy=False), x)


def windowed_step(integers: bool) -> Lowering:
    """A node that says itself what it does with a whole window."""

    def lower(planned: PlannedNode, batch: int, dt: float) -> Stage:
        return Windowed(planned.window, window_of(planned, integers, cast=lambda array: array))

    return lower


FUNCTIONS: dict[str, Callable[[Any, Array], Array]] = {
    "identity": lambda node, x: x,
    "matrix": linear.matrix,
    "scale": linear.scale,
    "convolution": linear.convolution,
    "sum pool": pool(pooling.sums),
    "mean pool": pool(pooling.means),
    "max pool": pool(pooling.maxima),
    "flatten": linear.flatten,
    "aggregate": linear.aggregate,
    "place": placed,
    "product": multiplied,
    "threshold": linear.threshold,
}


def delay(planned: PlannedNode, batch: int, dt: float, dtype: type[np.generic]) -> Stage:
    """Each neuron with its own delay in whole steps."""
    steps = np.broadcast_to(delay_steps(planned.node.delay, dt), planned.output_shape)
    line: Array = np.zeros((int(steps.max()), batch, *planned.output_shape), dtype)

    def step(x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, after = delayed(steps, x, *state)
        return y, (after,)

    return Stepwise(step, {LINE: line})


def table(functions: Mapping[str, Callable[[Any, Array], Array]], dtype: type[np.generic]) -> LoweringTable[Lowering]:
    """A table in the arithmetic of ``dtype``, without neurons."""
    found: LoweringTable[Lowering] = LoweringTable("reference")
    for operation, function in functions.items():
        found.register(operation)(stateless(function, dtype))
    found.register("delay")(partial(delay, dtype=dtype))
    found.register("temporal mix")(windowed(mix))
    found.register("first spike pool")(windowed(pool(first_spikes)))
    found.register("window")(windowed_step(integers=dtype is np.int64))
    return found


LOWERING = table({**FUNCTIONS, "quantize": lambda node, x: node.integers(x)}, np.float64)


@LOWERING.register("step", "lanes")
def _step(planned: PlannedNode, batch: int, dt: float) -> Stage:
    """The primitive's own function, on numpy arrays."""
    found = stepping_of(planned, dt)
    parameters = tuple(found.parameters.values())

    def step(x: Array, state: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        y, *after = (np.asarray(value, dtype=np.float64) for value in found.step(x, *state, *parameters))
        return y, tuple(after)

    shape = (batch, *planned.output_shape)
    start = (np.broadcast_to(np.asarray(value), shape) for value in found.start)
    return Stepwise(step, dict(zip(found.state, start, strict=True)))
