"""How time grows with steps, neurons, events and nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import nir
import numpy as np

import nirbridge
from benchmarks import encoding
from nirbridge.ir import MultiLevelLIF, build_graph

from .measuring import AT_MOST, Row, Section

NAME, TITLE = "growth", "Growth"
ABOUT = """CPU seconds over two decades, the least of some runs at each size: steps and neurons of M-LIF (3 lanes) by
`Program.run`, events by `encode` (346×260, counts), nodes of a chain of Affine and M-LIF by `nirbridge.compile` and by
`run`. The value is the exponent of a power law fitted to all points: 1 is linear, less where a fixed cost still
counts. A cliff lifts it above 1; "steepest" is the largest exponent between two neighbouring points. The dashed line
is linear through the last point."""
EXPONENT = 1.05
WHY = {
    "neurons": "Where results leave the cache, and the system has to give their pages, a neuron costs more.",
    "steps": "Where results leave the cache, and the system has to give their pages, a step costs more.",
    "events": "Larger frames leave the cache.",
    "nodes": "Something is done for every pair of nodes.",
}
Sizes = tuple[int, ...]


def neurons_graph(count: int) -> nir.NIRGraph:
    """Input → M-LIF → Output."""
    nodes = {"input": nir.Input(np.array([count])), "n": MultiLevelLIF.one_hot((count,), 3, decay=0.5)}
    return build_graph(nodes | {"output": nir.Output(np.array([count]))}, [("input", "n"), ("n", "output")])


def chain(count: int, width: int = 16) -> nir.NIRGraph:
    """A chain of so many nodes between Input and Output."""
    rng = np.random.default_rng(0)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([width]))}
    for place in range(count // 2):
        nodes[f"fc{place}"] = nir.Affine(rng.integers(-4, 6, (width, width)) / 16, np.zeros(width))
        nodes[f"act{place}"] = MultiLevelLIF.one_hot((width,), 3, decay=0.5)
    nodes["output"] = nir.Output(np.array([width]))
    return build_graph(nodes, list(pairwise(nodes)))


def run_of(graph: nir.NIRGraph, steps: int) -> Callable[[], Any]:
    """A run on random levels."""
    program = nirbridge.compile(graph, "norse")
    (node,) = (node for node in graph.nodes.values() if isinstance(node, nir.Input))
    shape = tuple(int(n) for n in node.input_type["input"])
    x = np.random.default_rng(0).integers(0, 3, (steps, 1, *shape)).astype(np.float32)
    return lambda: program.run(x)


def compiling_of(graph: nir.NIRGraph) -> Callable[[], Any]:
    """A compile."""
    return lambda: nirbridge.compile(graph, "norse")


def encoding_of(count: int) -> Callable[[], Any]:
    """An encoding of so many events."""
    array = encoding.random_events(count, (346, 260)).to_array()
    return lambda: encoding.encode_array(array, (346, 260), "count")


def subjects(scale: int) -> Iterator[tuple[str, Sizes, Callable[[int], Callable[[], Any]]]]:
    """Name, sizes, and what makes the run of a size."""
    two_decades = (1, 3, 10, 30, 100) if scale == 1 else (1, 3)
    yield "steps", tuple(40 * n for n in two_decades), lambda n: run_of(neurons_graph(20_000 // scale), n // scale or 1)
    yield "neurons", tuple(40_000 // scale * n for n in two_decades), lambda n: run_of(neurons_graph(n), 10)
    yield "events", tuple(100_000 // scale * n for n in two_decades), encoding_of
    nodes = tuple(10 * n for n in two_decades)
    yield "nodes, compile", nodes, lambda n: compiling_of(chain(n))
    yield "nodes, run", nodes, lambda n: run_of(chain(n), 10)


def least_seconds(run: Callable[[], Any], seconds: float = 0.5, most: int = 7) -> float:
    """The least CPU seconds, of as many runs as fit."""
    run()
    found: list[float] = []
    while not found or (len(found) < most and sum(found) < seconds):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def exponent(points: list[tuple[float, float]]) -> float:
    """Of the power law through the points."""
    return float(np.polyfit(*np.log(np.array(points)).T, 1)[0])


def measure(quick: bool = False) -> Section:
    """All rows."""
    section = Section()
    for name, sizes, make in subjects(100 if quick else 1):
        points = [(float(size), least_seconds(make(size), 0.0 if quick else 0.5)) for size in sizes]
        section.curves[name] = points
        steepest = max(exponent(list(pair)) for pair in pairwise(points))
        section.rows.append(Row(f"growth in {name}, exponent", [exponent(points)], EXPONENT, AT_MOST))
        section.rows.append(Row(f"{name}, steepest", [steepest]))
    return section
