"""A plan as layers: each a population of neurons with the synapses that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.ir import Aggregate, MaxPool2d, PhaseEncode, Place, Product, Shape, SparseMatrix
from nirbridge.ir.registry import INPUTS
from nirbridge.ir.shapes import pairs
from nirbridge.runtime import Plan, PlannedNode
from nirbridge.runtime.program import WITH_MEMBRANE


@dataclass(frozen=True)
class Reach:
    """Which rows of a source an output row sees: ``rows`` of them, ``stride`` further for each output row."""

    rows: int
    stride: int


@dataclass(frozen=True)
class Path:
    """The synapses between one source population and a layer, all linear nodes between them taken as one.

    Attributes:
        source: the node that sends.
        source_shape: shape of what it sends.
        fan_in: synapses of one neuron, at most: those over borders count too.
        kernel: distinct weights, where a convolution shares them; None where every synapse has its own.
        reach: for convolutions and pools that keep rows; None where every neuron may see every source.
        nodes: the synapses on the way.
    """

    source: str
    source_shape: Shape
    fan_in: int = 1
    kernel: int | None = None
    reach: Reach | None = Reach(1, 1)
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layer:
    """A population.

    Attributes:
        planned: its neuron; the last synapse of a readout, whose sums the chip must hold in neurons that do not spike.
        paths: the synapses into it.
    """

    planned: PlannedNode
    paths: tuple[Path, ...]

    @property
    def neurons(self) -> int:
        """Their number."""
        return prod(self.planned.output_shape)


def layers_of(plan: Plan) -> tuple[Layer, ...]:
    """All populations of the plan, in execution order."""
    readouts = {name for output in plan.outputs for name in _readouts(plan, output)}
    found = []
    for planned in plan.nodes:
        if type(planned.node) in POPULATIONS:
            found.append(Layer(planned, tuple(_into(plan, planned))))
        elif planned.name in readouts:
            found.append(Layer(planned, tuple(_through(plan, planned.name))))
    return tuple(found)


POPULATIONS = (*WITH_MEMBRANE, nir.Threshold, PhaseEncode, Product)


def _readouts(plan: Plan, name: str) -> Iterator[str]:
    """The synapses and pools that lead to an output without a neuron behind them."""
    for source in plan[name].sources:
        kind = type(plan[source.name].node)
        if kind is nir.Flatten or kind is nir.Delay:
            yield from _readouts(plan, source.name)
        elif kind not in POPULATIONS and kind not in INPUTS:
            yield source.name


def _into(plan: Plan, planned: PlannedNode, seen: tuple[str, ...] = ()) -> Iterator[Path]:
    for source in planned.sources:
        yield from _through(plan, source.name, seen)


def _through(plan: Plan, name: str, seen: tuple[str, ...] = ()) -> Iterator[Path]:
    """The paths that end with what ``name`` sends."""
    planned = plan[name]
    if name in seen:
        return
    if type(planned.node) in POPULATIONS or type(planned.node) in INPUTS:
        yield Path(name, planned.output_shape, reach=Reach(1, 1) if len(planned.output_shape) == 3 else None)
        return
    for path in _into(plan, planned, (*seen, name)):
        yield _EXTEND.get(type(planned.node), _unchanged)(planned, path)


def _unchanged(planned: PlannedNode, path: Path) -> Path:
    return path


def _forgets_rows(planned: PlannedNode, path: Path) -> Path:
    return replace(path, reach=None)


def _dense(planned: PlannedNode, path: Path) -> Path:
    weight = np.asarray(planned.node.weight)
    fan_in = int((weight != 0).sum(axis=-1).max())
    return _longer(planned, path, fan_in, None, None)


def _aggregate(planned: PlannedNode, path: Path) -> Path:
    weight = planned.node.weight
    counts = np.bincount(weight.row) if isinstance(weight, SparseMatrix) else (np.asarray(weight) != 0).sum(axis=1)
    return _longer(planned, path, int(counts.max(initial=1)), None, None)


def _convolution(planned: PlannedNode, path: Path) -> Path:
    node = planned.node
    used = int((np.asarray(node.weight) != 0).reshape(len(node.weight), -1).sum(axis=1).max())
    axes = node.weight.ndim - 2
    stride, dilation = pairs(node.stride, axes)[0], pairs(node.dilation, axes)[0]
    reach = Reach(dilation * (node.weight.shape[2] - 1) + 1, stride) if axes == 2 else None
    return _longer(planned, path, used, int(np.count_nonzero(node.weight)), reach)


def _pool(planned: PlannedNode, path: Path) -> Path:
    node = planned.node
    kernel, stride = pairs(node.kernel_size, 2), pairs(node.stride, 2)
    return _longer(planned, path, prod(kernel), prod(kernel), Reach(kernel[0], stride[0]))


def _place(planned: PlannedNode, path: Path) -> Path:
    """Its rows stay rows where it repeats none."""
    return path if planned.input_shape[1:] == planned.output_shape[1:] else replace(path, reach=None)


def _longer(planned: PlannedNode, path: Path, fan_in: int, kernel: int | None, reach: Reach | None) -> Path:
    """The path with one more linear node, merged into its synapses; two ways to one source count once at most."""
    before = path.reach
    joined = None
    if before is not None and reach is not None:
        joined = Reach(before.rows + (reach.rows - 1) * before.stride, before.stride * reach.stride)
    first = not path.nodes
    return replace(
        path,
        fan_in=min(max(fan_in, 1) * path.fan_in, prod(path.source_shape)),
        kernel=None if kernel is None or (path.kernel is None and not first) else kernel * (path.kernel or 1),
        reach=joined,
        nodes=(*path.nodes, planned.name),
    )


_EXTEND: dict[type[nir.NIRNode], Callable[[PlannedNode, Path], Any]] = {
    nir.Affine: _dense,
    nir.Linear: _dense,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    MaxPool2d: _pool,
    Aggregate: _aggregate,
    nir.Flatten: _forgets_rows,
    Place: _place,
}
