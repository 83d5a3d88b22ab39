"""A plan as layers: each a population of neurons with the synapses that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

import nir
import numpy as np

from nirbridge.chips.weights import ONE, Weights
from nirbridge.ir import (
    Aggregate,
    PhaseEncode,
    Place,
    Product,
    Quantize,
    Shape,
    SparseMatrix,
    TemporalMix,
    delay_steps,
)
from nirbridge.ir.registry import INPUTS
from nirbridge.ir.shapes import pairs
from nirbridge.runtime import Plan, PlannedNode
from nirbridge.runtime.program import WITH_MEMBRANE

HOST: tuple[type[nir.NIRNode], ...] = (*INPUTS, Quantize, nir.Output)
"""What stays outside of the chip."""
POPULATIONS = (*WITH_MEMBRANE, nir.Threshold, PhaseEncode, Product, TemporalMix)
_MOST_DELAYS = 128
"""Paths of one source are told apart by their delay, up to this many steps; no chip delays that long."""


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
        weights: the range of the merged weights.
        delay: steps, the longest.
        wait: steps of the longest of its delays alone.
        uneven: whether delays behind a synapse differ between neurons.
        split: whether a synapse follows these, so that no merged one has a single delay.
        last: the last node on the way with weights of its own, "" where there is none.
    """

    source: str
    source_shape: Shape
    fan_in: int = 1
    kernel: int | None = None
    reach: Reach | None = Reach(1, 1)
    weights: Weights = ONE
    delay: int = 0
    wait: int = 0
    uneven: bool = False
    split: bool = False
    last: str = ""


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

    @property
    def states(self) -> int:
        """Numbers that one neuron keeps: a TemporalMix those of a window, in and out."""
        node = self.planned.node
        return sum(node.weight.shape) if type(node) is TemporalMix else 2

    @property
    def weights(self) -> Weights:
        """The hull of what its paths weigh."""
        return Weights.hull(path.weights for path in self.paths)


def layers_of(plan: Plan) -> tuple[Layer, ...]:
    """All populations of the plan, in execution order."""
    sent = _sent(plan)
    readouts = _readouts(plan)
    found = []
    for planned in plan.nodes:
        if type(planned.node) in POPULATIONS:
            found.append(Layer(planned, tuple(_arriving(planned, sent))))
        elif planned.name in readouts:
            found.append(Layer(planned, tuple(sent[planned.name])))
    return tuple(found)


def _sent(plan: Plan) -> dict[str, list[Path]]:
    """The paths that each node hands on; a population or an input begins one.

    One pass over the nodes between populations, each behind its sources.  Among them an edge that closes a cycle is
    left out: no integer graph has a cycle without a neuron.
    """
    sent = {p.name: [_begun(p)] for p in plan.nodes if type(p.node) in (*POPULATIONS, *HOST)}
    for name in plan.order_between([p.name for p in plan.nodes if p.name not in sent]):
        extend = EXTEND.get(type(plan[name].node), _unchanged)
        sent[name] = [extend(plan[name], path, plan.dt) for path in _arriving(plan[name], sent)]
    return sent


def _begun(planned: PlannedNode) -> Path:
    shape = planned.output_shape
    return Path(planned.name, shape, reach=Reach(1, 1) if len(shape) == 3 else None)


def _arriving(planned: PlannedNode, sent: dict[str, list[Path]]) -> list[Path]:
    return _joined(path for source in planned.sources for path in sent.get(source.name, ()))


def _readouts(plan: Plan) -> set[str]:
    """The synapses and pools that lead to an output without a neuron behind them."""
    found, pending = set(), [source.name for output in plan.outputs for source in plan[output].sources]
    passed: set[str] = set()
    while pending:
        name = pending.pop()
        kind = type(plan[name].node)
        if kind in (nir.Flatten, nir.Delay) and name not in passed:
            pending += [source.name for source in plan[name].sources]
        elif kind not in (nir.Flatten, nir.Delay, *POPULATIONS, *HOST):
            found.add(name)
        passed.add(name)
    return found


def _joined(paths: Iterable[Path]) -> list[Path]:
    """Paths from one source with one delay as one: their weights add up."""
    found: dict[tuple[str, int], Path] = {}
    for path in paths:
        key = path.source, min(path.delay, _MOST_DELAYS)
        found[key] = _join(found[key], path) if key in found else path
    return list(found.values())


def _join(one: Path, other: Path) -> Path:
    alike = one.reach == other.reach and one.kernel is not None and other.kernel is not None
    return replace(
        one,
        fan_in=min(one.fan_in + other.fan_in, prod(one.source_shape)),
        kernel=(one.kernel or 0) + (other.kernel or 0) if alike else None,
        reach=one.reach if one.reach == other.reach else None,
        weights=one.weights + other.weights,
        delay=max(one.delay, other.delay),
        wait=max(one.wait, other.wait),
        uneven=one.uneven or other.uneven,
        split=one.split or other.split,
    )


def _unchanged(planned: PlannedNode, path: Path, dt: float) -> Path:
    return path


def _forgets_rows(planned: PlannedNode, path: Path, dt: float) -> Path:
    return replace(path, reach=None)


def _delay(planned: PlannedNode, path: Path, dt: float) -> Path:
    steps = delay_steps(planned.node.delay, dt)
    longest, shortest = int(steps.max(initial=0)), int(steps.min(initial=2**62))
    uneven = path.weights.merged > 0 and shortest < longest
    return replace(path, delay=path.delay + longest, wait=max(path.wait, longest), uneven=path.uneven or uneven)


def _scale(planned: PlannedNode, path: Path, dt: float) -> Path:
    return replace(path, weights=path.weights.scaled(planned.node.scale), last=planned.name)


def _dense(planned: PlannedNode, path: Path, dt: float) -> Path:
    used = np.asarray(planned.node.weight) != 0
    fan_in, fan_out = int(used.sum(axis=-1).max(initial=1)), int(used.sum(axis=-2).max(initial=1))
    return _longer(planned, path, planned.node.weight, fan_in, fan_out)


def _aggregate(planned: PlannedNode, path: Path, dt: float) -> Path:
    weight = planned.node.weight
    if isinstance(weight, SparseMatrix):
        counts, outward, values = np.bincount(weight.row), np.bincount(weight.column), weight.value
    else:
        used = np.asarray(weight) != 0
        counts, outward, values = used.sum(axis=1), used.sum(axis=0), weight
    return _longer(planned, path, values, int(counts.max(initial=1)), int(outward.max(initial=1)))


def _convolution(planned: PlannedNode, path: Path, dt: float) -> Path:
    node = planned.node
    used = int((np.asarray(node.weight) != 0).reshape(len(node.weight), -1).sum(axis=1).max(initial=1))
    axes, sizes = node.weight.ndim - 2, node.weight.shape[2:]
    stride, dilation = pairs(node.stride, axes), pairs(node.dilation, axes)
    reach = Reach(dilation[0] * (sizes[0] - 1) + 1, stride[0]) if axes == 2 else None
    seen = prod(
        ceil(size / step) if gap == 1 else size for size, step, gap in zip(sizes, stride, dilation, strict=True)
    )
    fan_out = len(node.weight) // int(node.groups) * seen
    return _longer(planned, path, node.weight, used, fan_out, int(np.count_nonzero(node.weight)), reach)


def _pool(planned: PlannedNode, path: Path, dt: float) -> Path:
    node = planned.node
    kernel, stride = pairs(node.kernel_size, 2), pairs(node.stride, 2)
    fan_out = prod(ceil(size / step) for size, step in zip(kernel, stride, strict=True))
    return _longer(planned, path, 1, prod(kernel), fan_out, prod(kernel), Reach(kernel[0], stride[0]))


def _place(planned: PlannedNode, path: Path, dt: float) -> Path:
    """Its rows stay rows where it repeats none."""
    repeats = prod(planned.node.slot_shape) // prod(planned.node.input_shape)
    path = replace(path, weights=path.weights.repeated(repeats))
    return path if planned.input_shape[1:] == planned.output_shape[1:] else replace(path, reach=None)


def _longer(
    planned: PlannedNode,
    path: Path,
    weight: Any,
    fan_in: int,
    fan_out: int,
    kernel: int | None = None,
    reach: Reach | None = None,
) -> Path:
    """The path with one more linear node, merged into its synapses; two ways to one source count once at most."""
    before = path.reach
    joined = None
    if before is not None and reach is not None:
        joined = Reach(before.rows + (reach.rows - 1) * before.stride, before.stride * reach.stride)
    return replace(
        path,
        fan_in=min(max(fan_in, 1) * path.fan_in, prod(path.source_shape)),
        kernel=None if kernel is None or (path.kernel is None and path.weights.merged) else kernel * (path.kernel or 1),
        reach=joined,
        weights=path.weights.behind(weight, fan_in, fan_out),
        split=path.split or path.uneven,
        last=planned.name,
    )


Extend = Callable[[PlannedNode, Path, float], Path]
EXTEND: dict[type[nir.NIRNode], Extend] = {
    nir.Affine: _dense,
    nir.Linear: _dense,
    nir.Conv1d: _convolution,
    nir.Conv2d: _convolution,
    nir.SumPool2d: _pool,
    Aggregate: _aggregate,
    nir.Scale: _scale,
    nir.Delay: _delay,
    nir.Flatten: _forgets_rows,
    Place: _place,
}
"""Node type → what it makes of a path.  What stands neither here, in POPULATIONS nor in HOST is refused by name."""
