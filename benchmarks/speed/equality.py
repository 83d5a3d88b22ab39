"""How many random networks give equal values, and what single precision may turn."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import nir
import numpy as np

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.errors import NirbridgeError
from nirbridge.ir import MultiLevelLIF, build_graph
from nirbridge.quantizing import quantize

from .measuring import Section
from .vgg import frames, make_graph

NAME, TITLE = "equality", "Equal results"
ABOUT = """Equality is promised for integer and dyadic weights only: their sums are exact in any order. With other
weights the order in which single precision rounds turns thresholds: which spikes, `nirbridge.compare` counts. Compared
here, every value of every node: random convolutional networks with weights in 16ths, in fp32 and in 8 bits, in one
call, in calls of 4 steps and step by step; random graphs of the conformance suite (every node type, cycles, several
inputs; dyadic parameters) in double precision and in integers; and VGGSNN at a quarter of its width, whose weights are
not dyadic."""
COUNT = 200
WHY: dict[str, str] = {}
Values = dict[str, np.ndarray]


@dataclass
class Tally:
    """Networks compared in each way, and values."""

    networks: dict[str, int] = field(default_factory=dict)
    values: int = 0
    differing: int = 0

    def add(self, way: str, expected: Values, found: Values) -> None:
        """Counts what is in both."""
        self.networks[way] = self.networks.get(way, 0) + 1
        self.values += sum(array.size for array in found.values())
        self.differing += sum(int((array != expected[name]).sum()) for name, array in found.items())


def integer_network(seed: int) -> tuple[nir.NIRGraph, np.ndarray]:
    """Convolutions, M-LIF of 1 to 4 lanes, pools and a linear layer, in 16ths; levels [T, B, C, H, W]."""
    rng = np.random.default_rng(seed)
    batch, channels, side = (int(rng.integers(1, high)) for high in (4, 4, 3))
    side *= 8
    x = (2.0 ** rng.integers(0, 3, (6, batch, channels, side, side)) * (rng.random((side, side)) < 0.4)).astype("f4")
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array(x.shape[2:]))}

    def neurons(place: str, shape: tuple[int, ...]) -> None:
        nodes[f"act{place}"] = MultiLevelLIF.one_hot(
            shape, int(rng.integers(1, 5)), decay=float(rng.choice([0.5, 1.0]))
        )

    for place in range(int(rng.integers(1, 4))):
        made, stride = int(rng.integers(1, 20)), int(rng.integers(1, 3))
        weight = rng.integers(-8, 10, (made, channels, 3, 3)) / 16
        nodes[f"conv{place}"] = nir.Conv2d((side, side), weight, stride, 1, 1, 1, rng.integers(-8, 9, made) / 16)
        channels, side = made, -(-side // stride)
        neurons(str(place), (channels, side, side))
        if side % 2 == 0 and rng.random() < 0.4:
            nodes[f"pool{place}"] = nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0]))
            side //= 2
    nodes["flat"] = nir.Flatten({"input": np.array([channels, side, side])}, 0, -1)
    count = channels * side * side
    nodes["fc"] = nir.Affine(rng.integers(-8, 10, (7, count)) / 16, rng.integers(-8, 9, 7) / 16)
    neurons("fc", (7,))
    nodes["output"] = nir.Output(np.array([7]))
    return build_graph(nodes, list(pairwise(nodes))), x


def sent(graph: nir.NIRGraph, x: Any, runtime: str, **options: Any) -> Values:
    """What every node sends, in one call."""
    with nirbridge.compile(graph, runtime, dt=DT, **options) as program:
        return program.run(x, record=program.plan.names).records


def in_pieces(graph: nir.NIRGraph, x: np.ndarray, size: int, **options: Any) -> Values:
    """The output, some steps a call, or by ``step``."""
    with nirbridge.compile(graph, "norse", dt=DT, **options) as program:
        if size == 1:
            outputs = [program.step(frame)[None] for frame in x]
        else:
            outputs = [program.advance(x[t : t + size]).output for t in range(0, len(x), size)]
    return {"output": np.concatenate(outputs)}


def compare_integers(count: int) -> Tally:
    """Integer networks in fp32 and in 8 bits."""
    tally = Tally()
    for seed in range(count):
        graph, x = integer_network(seed)
        for kind, subject, how in (
            ("fp32", graph, {"precision": "float", "dtype": "float32"}),
            ("8 bits", quantize(graph, x, dt=DT), {"precision": "fixed"}),
        ):
            expected = sent(subject, x, "reference", precision=how["precision"])
            tally.add(f"{kind}, one call", expected, sent(subject, x, "norse", **how))
            tally.add(f"{kind}, calls of 4 steps", expected, in_pieces(subject, x, 4, **how))
            tally.add(f"{kind}, step by step", expected, in_pieces(subject, x, 1, **how))
    return tally


def compare_graphs(count: int) -> Tally:
    """Graphs of the conformance suite in double precision, and those that have integers in these."""
    tally = Tally()
    for seed in range(count):
        graph = random_graph(seed)
        x = random_data(graph, seed)
        subjects = [("float64", graph, {"precision": "float"}, {"dtype": "float64"})]
        with suppress(NirbridgeError):  # node types without an integer form
            subjects.append(("integers", quantize(graph, x, dt=DT), {"precision": "fixed"}, {}))
        for kind, subject, how, more in subjects:
            tally.add(kind, sent(subject, x, "reference", **how), sent(subject, x, "norse", **how, **more))
    return tally


def told(title: str, tally: Tally) -> str:
    """A line, or an error where any value differs."""
    if tally.differing:
        raise AssertionError(f"{title}: {tally.differing} of {tally.values} values differ from the reference's")
    ways = "; ".join(f"{way}: {networks}" for way, networks in tally.networks.items())
    return f"{title} ({ways}): {tally.values:,} values, 0 differ from the reference's."


def measure(quick: bool = False) -> Section:
    """Counts; no times."""
    count = 2 if quick else COUNT
    notes = [
        told("Random integer networks", compare_integers(count)),
        told("Random graphs of every node type", compare_graphs(count)),
        turned(quick),
    ]
    return Section(notes=notes)


def turned(quick: bool) -> str:
    """How many spikes single precision turns where weights are not dyadic."""
    size, width = (16, 4) if quick else (48, 16)
    graph, rng = make_graph(size, width), np.random.default_rng(0)
    for node in graph.nodes.values():
        if hasattr(node, "weight"):
            node.weight = (node.weight * rng.uniform(0.9, 1.1, node.weight.shape)).astype(np.float32)
    neurons = [name for name, node in graph.nodes.items() if type(node).__name__ == "MultiLevelLIF"]
    records = []
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime) as program:
            records.append(program.run(frames(4, size), record=neurons).records)
    wrong = {name: int((records[0][name] != records[1][name]).sum()) for name in neurons}
    total = sum(records[0][name].size for name in neurons)
    return (
        f"Weights that are not dyadic, fp32, VGGSNN of width {width}: {sum(wrong.values()):,} of {total:,} levels "
        f"differ from the reference's double precision, {wrong[neurons[-1]]} of them in the last layer."
    )
