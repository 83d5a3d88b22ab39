"""Random graphs with skips, parallel paths, cycles, nesting, several inputs and outputs, on which runtimes must agree.

Parameters and data are dyadic with few bits and runs are short, so that double precision holds every value exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np

from nirbridge.conformance.cases import Array
from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Shape,
    TemporalMix,
    build_graph,
    flatten,
    infer_shapes,
)
from nirbridge.ir.shapes import ShapeMismatchError, shape_rule

STEPS, BATCH, PHASES = 8, 2, 4
DT = 2.0**-10
_SHAPES: tuple[Shape, ...] = ((3,), (5,), (2, 4), (3, 6), (2, 5, 4), (1, 6, 6))
_SPIKING = (nir.Threshold, nir.IF, nir.LIF, nir.CubaLIF, MultiLevelLIF)


@dataclass
class _Growing:
    """A graph while it grows: nodes, edges, and the shape that every node takes and sends."""

    rng: np.random.Generator
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    takes: dict[str, Shape] = field(default_factory=dict)
    sends: dict[str, Shape] = field(default_factory=dict)

    def add(self, name: str, node: nir.NIRNode, sources: list[str], taken: Shape, sent: Shape) -> None:
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        self.takes[name], self.sends[name] = taken, sent

    def number(self, shape: Shape, low: int, high: int, unit: float) -> Array:
        return self.rng.integers(low, high, shape) * unit

    def parameter(self, shape: Shape, low: int, high: int, unit: float) -> Array:
        """One number for each neuron, or the same for all of them."""
        if self.rng.random() < 0.5:
            return self.number(shape, low, high, unit)
        return np.full(shape, self.number((), low, high, unit))


Maker = Callable[[_Growing, Shape], nir.NIRNode]


def random_graph(seed: int) -> nir.NIRGraph:
    """The graph of a seed: 2 to 9 nodes between inputs and outputs."""
    rng = np.random.default_rng(seed)
    graph = _Growing(rng)
    for index in range(1 + int(rng.random() < 0.25)):
        shape = _SHAPES[rng.integers(len(_SHAPES))] if index == 0 else next(iter(graph.sends.values()))
        graph.add(f"in{index}", _input(rng, shape), [], shape, shape)
    mixes = rng.random() < 0.15
    coded = not mixes and np.random.default_rng([seed, PHASES]).random() < 0.15
    if coded:
        _encode_inputs(graph)
    windowed = [_mix] if mixes else [_fire, _fire, _decode] if coded else []
    for index in range(int(rng.integers(2, 10))):
        _grow(graph, f"n{index}", windowed)
    leaves = [name for name in graph.nodes if all(source != name for source, _ in graph.edges)]
    for index, name in enumerate(leaves):
        graph.add(f"out{index}", nir.Output(np.array(graph.sends[name])), [name], graph.sends[name], graph.sends[name])
    for _ in range(0 if windowed else int(rng.integers(0, 3))):
        _close_cycle(graph)
    return build_graph(graph.nodes, graph.edges)


def random_data(graph: nir.NIRGraph, seed: int) -> dict[str, Array]:
    """[T, B, *shape] in halves, by input name; few steps where each becomes a window of phases."""
    rng = np.random.default_rng(seed)
    steps = STEPS // PHASES if any(type(node) is PhaseEncode for node in graph.nodes.values()) else STEPS
    shapes, _ = infer_shapes(flatten(graph))
    names = [name for name, node in graph.nodes.items() if type(node) in (nir.Input, EventInput)]
    return {name: rng.integers(-3, 8, (steps, BATCH, *shapes[name].output)) * 0.5 for name in names}


def _input(rng: np.random.Generator, shape: Shape) -> nir.NIRNode:
    if len(shape) == 3 and shape[0] <= 2 and rng.random() < 0.5:
        return EventInput(shape, (shape[2] * 2, shape[1] * 2), 1000)
    return nir.Input(np.array(shape))


def _encode_inputs(graph: _Growing) -> None:
    """Nothing but their codes reads the inputs, so that all nodes run at one rate."""
    for name in list(graph.sends):
        shape = graph.sends.pop(name)
        graph.add(f"{name}_code", PhaseEncode(shape, PHASES, 2.0, 4.0), [name], shape, shape)


def _grow(graph: _Growing, name: str, windowed: Sequence[Maker]) -> None:
    """One more node behind a random one, and sometimes behind a second of the same shape."""
    rng, names = graph.rng, list(graph.sends)
    first = names[-1] if rng.random() < 0.6 else names[rng.integers(len(names))]
    shape, sources = graph.sends[first], [first]
    alike = [other for other in names if graph.sends[other] == shape and other != first]
    if alike and rng.random() < 0.4:
        sources.append(alike[rng.integers(len(alike))])
    makers = [*(maker for length, maker in _MAKERS if length in (0, len(shape))), *windowed]
    while True:
        node = makers[rng.integers(len(makers))](graph, shape)
        try:
            sent = _sent(node, shape)
        except ShapeMismatchError:
            continue
        if len(sent) > 0 and min(sent) > 0:
            graph.add(name, node, sources, shape, sent)
            return


def _sent(node: nir.NIRNode, shape: Shape) -> Shape:
    if type(node) is nir.NIRGraph:
        return shape
    return shape_rule(node)(node, shape)


def _close_cycle(graph: _Growing) -> None:
    """An edge to a spiking node, which may lie before its sender: spikes keep values in a cycle from growing."""
    targets = [name for name, node in graph.nodes.items() if type(node) in _SPIKING]
    if not targets:
        return
    target = targets[graph.rng.integers(len(targets))]
    senders = [
        name
        for name, shape in graph.sends.items()
        if shape == graph.takes[target] and name.startswith("n") and (name, target) not in graph.edges
    ]
    if senders:
        graph.edges.append((senders[graph.rng.integers(len(senders))], target))


def _affine(graph: _Growing, shape: Shape) -> nir.NIRNode:
    rows = int(graph.rng.integers(1, 6))
    weight = graph.number((rows, shape[-1]), -3, 5, 0.25)
    return nir.Linear(weight) if graph.rng.random() < 0.5 else nir.Affine(weight, graph.number((rows,), -2, 3, 0.5))


def _convolution(graph: _Growing, shape: Shape) -> nir.NIRNode:
    rng, axes = graph.rng, len(shape) - 1
    groups = shape[0] if rng.random() < 0.3 else 1
    outputs = groups * int(rng.integers(1, 3))
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    weight = graph.number((outputs, shape[0] // groups, *kernel), -3, 5, 0.25)
    bias = graph.number((outputs,), -2, 3, 0.5)
    if axes == 1:
        return nir.Conv1d(shape[1], weight, int(rng.integers(1, 3)), int(rng.integers(0, 2)), 1, groups, bias)
    stride, padding = (tuple(int(v) for v in rng.integers(low, high, 2)) for low, high in ((1, 3), (0, 2)))
    return nir.Conv2d(shape[1:], weight, stride, padding, 1, groups, bias)


def _pool(graph: _Growing, shape: Shape) -> nir.NIRNode:
    kernel, stride = np.array([2, int(graph.rng.integers(1, 3))]), graph.rng.integers(1, 3, 2)
    kind = (nir.SumPool2d, nir.AvgPool2d, MaxPool2d)[graph.rng.integers(3)]
    return kind(kernel, stride, np.array([int(graph.rng.integers(0, 2)), 0]))


def _flatten(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return nir.Flatten({"input": np.array(shape)}, 0, -1)


def _aggregate(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return Aggregate(graph.number((shape[0], shape[0]), -1, 3, 0.5))


def _mix(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return TemporalMix(graph.number((4, 4), -1, 3, 0.25))


def _fire(graph: _Growing, shape: Shape) -> nir.NIRNode:
    rng = graph.rng
    theta, start = graph.parameter(shape, 1, 6, 0.5), graph.parameter(shape, -2, 3, 0.25)
    wait, first, rounding = int(rng.integers(PHASES + 1)), int(rng.integers(3)), bool(rng.integers(2))
    return PhaseIF(shape, PHASES, wait, 2.0, 2.0, theta, start, first, rounding)


def _decode(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return PhaseDecode(shape, PHASES, 2.0, graph.parameter(shape, -2, 3, 0.25))


def _scale(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return nir.Scale(graph.parameter(shape, -2, 4, 0.5))


def _delay(graph: _Growing, shape: Shape) -> nir.NIRNode:
    return nir.Delay(graph.parameter(shape, 0, 4, DT))


def _neuron(graph: _Growing, shape: Shape) -> nir.NIRNode:
    def p(low: int, high: int) -> Array:
        return graph.parameter(shape, low, high, 0.5)

    def tau() -> Array:
        return 2.0 ** graph.parameter(shape, 0, 2, 1.0) * DT

    makers: list[Callable[[], nir.NIRNode]] = [
        lambda: nir.Threshold(p(-2, 4)),
        lambda: nir.I(p(1, 3)),
        lambda: nir.IF(p(1, 3), p(1, 6), p(-2, 1)),
        lambda: nir.LI(tau(), p(1, 4), p(-1, 2)),
        lambda: nir.LIF(tau(), p(1, 4), p(-1, 2), p(1, 4), p(-2, 1)),
        lambda: nir.CubaLI(tau(), tau(), p(1, 4), p(-1, 2), p(1, 3)),
        lambda: nir.CubaLIF(tau(), tau(), p(1, 4), p(-1, 2), p(1, 4), p(-2, 1), p(1, 3)),
    ]
    return makers[graph.rng.integers(len(makers))]()


def _multi_level(graph: _Growing, shape: Shape) -> nir.NIRNode:
    rng = graph.rng
    more: dict[str, Any] = {"gain": graph.parameter(shape, 1, 4, 0.5), "v_init": graph.parameter(shape, -1, 3, 0.25)}
    decay = graph.parameter(shape, 0, 3, 0.5)
    if rng.random() < 0.4:
        return MultiLevelLIF.uniform(shape, int(rng.integers(1, 9)), graph.parameter(shape, 1, 4, 0.25), decay, **more)
    reset = ("subtract", "value")[rng.integers(2)]
    lanes, threshold = int(rng.integers(1, 5)), graph.parameter(shape, 1, 4, 0.5)
    return MultiLevelLIF.one_hot(shape, lanes, threshold, decay, reset, (">", ">=")[rng.integers(2)], **more)


def _place(graph: _Growing, shape: Shape) -> nir.NIRNode:
    """A slot among up to two more channels; an axis of size 1 is repeated."""
    before, behind, times = (int(n) for n in graph.rng.integers(0, 3, 3))
    sizes = [size * (1 + times) if size == 1 else size for size in shape]
    return Place(shape, (before + sizes[0] + behind, *sizes[1:]), before, before + sizes[0])


def _gate(graph: _Growing, shape: Shape) -> nir.NIRNode:
    """A graph in the graph: its input times the spikes that it makes; spikes keep products from growing."""
    channels, slots = shape[0], (2 * shape[0], *shape[1:])
    nodes = {
        "input": nir.Input(np.array(shape)),
        "act": _multi_level(graph, shape),
        "first": Place(shape, slots, 0, channels),
        "second": Place(shape, slots, channels, 2 * channels),
        "product": Product(slots, 2),
        "output": nir.Output(np.array(shape)),
    }
    paths = ("input act second product output", "input first product")
    return build_graph(nodes, [pair for path in paths for pair in itertools.pairwise(path.split())])


def _nested(graph: _Growing, shape: Shape) -> nir.NIRNode:
    """A graph in the graph: shape → neuron → scale → shape."""
    nodes = {
        "input": nir.Input(np.array(shape)),
        "act": _multi_level(graph, shape),
        "scale": _scale(graph, shape),
        "output": nir.Output(np.array(shape)),
    }
    return build_graph(nodes, [("input", "act"), ("act", "scale"), ("scale", "output"), ("act", "output")])


_MAKERS: tuple[tuple[int, Maker], ...] = (
    (0, _affine),
    (0, _scale),
    (0, _delay),
    (0, _neuron),
    (0, _neuron),
    (0, _multi_level),
    (0, _multi_level),
    (0, _nested),
    (0, _place),
    (0, _gate),
    (0, _aggregate),
    (2, _convolution),
    (2, _flatten),
    (3, _convolution),
    (3, _convolution),
    (3, _pool),
    (3, _pool),
    (3, _flatten),
)
"""Axes of the data that a maker is for, 0 for any, and the maker; one that comes twice is chosen more often."""
