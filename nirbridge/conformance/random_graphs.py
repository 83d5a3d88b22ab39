"""Random graphs with skips, parallel paths, cycles, nesting, several inputs and outputs, on which runtimes must agree.

Parameters and data are dyadic with few bits and runs are short, so that double precision holds every value exactly.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import nir
import numpy as np

from nirbridge.ir import (
    EventInput,
    PhaseEncode,
    Place,
    Product,
    Quantize,
    Shape,
    all_specs,
    build_graph,
    find_spec,
    flatten,
    infer_shapes,
    is_input,
)
from nirbridge.ir.stated_shapes import made_shape
from nirbridge.primitives.examples import DYADIC_DT, Array, Dice, Draw
from nirbridge.primitives.multi_level_lif import draw as draw_neuron
from nirbridge.primitives.phase_base import PHASES
from nirbridge.primitives.scale import draw as draw_scale
from nirbridge.primitives.shaping import ShapeMismatchError

STEPS, BATCH = 8, 2
DT = DYADIC_DT
_SHAPES: tuple[Shape, ...] = ((3,), (5,), (2, 4), (3, 6), (2, 5, 4), (1, 6, 6))


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
    if not coded:
        _round_data(graph, np.random.default_rng([seed, 1]))
    windowed = _draws("mixed") if mixes else _draws("coded") if coded else []
    for index in range(int(rng.integers(2, 10))):
        _grow(graph, f"n{index}", windowed)
        if index == 0:
            _round_values(graph, np.random.default_rng([seed, 2]))
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
    names = [name for name, node in graph.nodes.items() if is_input(node)]
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


def _round_data(graph: _Growing, rng: np.random.Generator) -> None:
    """Now and then the first input also comes in steps: of 0.25, which changes nothing, up to 2, with ties."""
    if rng.random() < 0.1:
        shape = graph.sends["in0"]
        grid = Quantize(shape, rng.choice([0.25, 0.5, 2.0], shape), -64, 64)
        graph.add("in0_grid", grid, ["in0"], shape, shape)


def _round_values(graph: _Growing, rng: np.random.Generator) -> None:
    """Now and then what the first node sends is rounded and cut."""
    if rng.random() < 0.15:
        shape = graph.sends["n0"]
        graph.add("n0_grid", Quantize(shape, 0.5, -3, 2 + rng.integers(4, size=shape)), ["n0"], shape, shape)


def _draws(when: str) -> list[Draw]:
    """Those of all primitives for such graphs, each as often as it is to be chosen."""
    return [draw for spec in all_specs() for draw in spec.draws if draw.when == when for _ in range(draw.times)]


def _grow(graph: _Growing, name: str, windowed: Sequence[Draw]) -> None:
    """One more node behind a random one, and sometimes behind a second of the same shape."""
    rng, names = graph.rng, list(graph.sends)
    first = names[-1] if rng.random() < 0.6 else names[rng.integers(len(names))]
    shape, sources = graph.sends[first], [first]
    alike = [other for other in names if graph.sends[other] == shape and other != first]
    if alike and rng.random() < 0.4:
        sources.append(alike[rng.integers(len(alike))])
    draws = [*_draws(""), Draw(_nested), Draw(_gate), *windowed]
    while True:
        draw = draws[rng.integers(len(draws))]
        if draw.axes not in (0, len(shape)):
            continue
        try:
            node = draw.make(Dice(rng), shape)
            sent = _sent(node, shape)
        except ShapeMismatchError:
            continue
        if len(sent) > 0 and min(sent) > 0:
            graph.add(name, node, sources, shape, sent)
            return


def _sent(node: nir.NIRNode, shape: Shape) -> Shape:
    if type(node) is nir.NIRGraph:
        return shape
    return made_shape(node, shape)


def _close_cycle(graph: _Growing) -> None:
    """An edge to a spiking node, which may lie before its sender: spikes keep values in a cycle from growing."""
    targets = [name for name, node in graph.nodes.items() if _keeps_bounded(node)]
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


def _keeps_bounded(node: nir.NIRNode) -> bool:
    spec = find_spec(type(node))
    return spec is not None and spec.sends.spikes and spec.window is None


def _gate(dice: Dice, shape: Shape) -> nir.NIRNode:
    """A graph in the graph: its input times the spikes that it makes; spikes keep products from growing."""
    channels, slots = shape[0], (2 * shape[0], *shape[1:])
    nodes = {
        "input": nir.Input(np.array(shape)),
        "act": draw_neuron(dice, shape),
        "first": Place(shape, slots, 0, channels),
        "second": Place(shape, slots, channels, 2 * channels),
        "product": Product(slots, 2),
        "output": nir.Output(np.array(shape)),
    }
    paths = ("input act second product output", "input first product")
    return build_graph(nodes, [pair for path in paths for pair in itertools.pairwise(path.split())])


def _nested(dice: Dice, shape: Shape) -> nir.NIRNode:
    """A graph in the graph: shape → neuron → scale → shape."""
    nodes = {
        "input": nir.Input(np.array(shape)),
        "act": draw_neuron(dice, shape),
        "scale": draw_scale(dice, shape),
        "output": nir.Output(np.array(shape)),
    }
    return build_graph(nodes, [("input", "act"), ("act", "scale"), ("scale", "output"), ("act", "output")])
