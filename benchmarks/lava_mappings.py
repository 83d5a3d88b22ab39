"""Time a step of a chain of ten 128-neuron layers: one Lava Process a node, all nodes in one process, plain numpy.

All three run in one process and in turns, batch 1, and give equal spikes; the figure is the median.  "streaming" is one
``Program.step`` after the other, "run" one ``Program.run`` over all steps.

    python benchmarks/lava_mappings.py [--repeats 5] [--steps 200]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import nir
import numpy as np

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph

LAYERS, NEURONS, LANES = 10, 128, 3
FASTER, OF_NUMPY = 5.0, 6.0
Step = Callable[[np.ndarray], np.ndarray]


def make_graph() -> nir.NIRGraph:
    """Input → (Affine → one-hot neurons) × 10 → Output, with weights in 64ths."""
    rng = np.random.default_rng(0)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([NEURONS]))}
    for layer in range(LAYERS):
        weight = rng.integers(-12, 15, (NEURONS, NEURONS)) / 64
        nodes[f"fc{layer}"] = nir.Affine(weight, rng.integers(-8, 9, NEURONS) / 64)
        nodes[f"act{layer}"] = MultiLevelLIF.one_hot((NEURONS,), LANES, decay=0.5)
    nodes["output"] = nir.Output(None)
    return build_graph(nodes, list(pairwise(nodes)))


class PlainNumpy:
    """The same network as a few lines of numpy."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        self.layers = [(graph.nodes[f"fc{i}"].weight, graph.nodes[f"fc{i}"].bias) for i in range(LAYERS)]
        self.lanes = np.exp2(np.arange(LANES))
        self.values = np.concatenate([[0.0], self.lanes])
        self.reset()

    def reset(self) -> None:
        """Fresh states."""
        self.v = [np.zeros(NEURONS) for _ in self.layers]

    def step(self, x: np.ndarray) -> np.ndarray:
        """One step, x (n,)."""
        for layer, (weight, bias) in enumerate(self.layers):
            u = 0.5 * self.v[layer] + weight @ x + bias
            x = self.values[np.searchsorted(self.lanes, u)]
            self.v[layer] = u - x
        return x


def seconds(call: Callable[[], np.ndarray], steps: int) -> tuple[float, np.ndarray]:
    """Seconds a step, and what came out."""
    begin = time.perf_counter()
    found = call()
    return (time.perf_counter() - begin) / steps, found


def main() -> None:
    """Prints milliseconds a step and the two ratios asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    graph = make_graph()
    x = np.random.default_rng(1).choice([0.0, 0.0, 1.0, 2.0], (args.steps, 1, NEURONS))
    numpy_net = PlainNumpy(graph)
    with (
        nirbridge.compile(graph, "lava", mapping="processes") as processes,
        nirbridge.compile(graph, "lava", mapping="fused") as fused,
    ):
        ways: dict[str, Callable[[], np.ndarray]] = {}
        for name, program in (("processes", processes), ("fused", fused)):
            ways[f"{name}, run"] = lambda program=program: program.run(x).output[:, 0]
            ways[f"{name}, streaming"] = lambda program=program: streamed(program.reset, program.step, x)[:, 0]
        ways["numpy"] = lambda: streamed(numpy_net.reset, numpy_net.step, x[:, 0])
        times: dict[str, list[float]] = {name: [] for name in ways}
        for way in ways.values():
            way()
        for _ in range(args.repeats):
            results = {}
            for name, way in ways.items():
                taken, results[name] = seconds(way, args.steps)
                times[name].append(taken)
            if not all(np.array_equal(results["numpy"], found) for found in results.values()):
                raise SystemExit("the mappings do not give equal spikes")
    report({name: statistics.median(found) * 1e3 for name, found in times.items()}, results["numpy"].mean())


def streamed(reset: Callable[[], None], step: Step, x: np.ndarray) -> np.ndarray:
    """One step after the other."""
    reset()
    return np.stack([step(frame) for frame in x])


def report(ms: dict[str, float], activity: float) -> None:
    """The table and the verdict."""
    for name, taken in ms.items():
        print(f"{name:22s} {taken:8.3f} ms a step")
    print(f"mean output {activity:.2f}, equal in all")
    for kind in ("run", "streaming"):
        faster, ratio = ms[f"processes, {kind}"] / ms[f"fused, {kind}"], ms[f"fused, {kind}"] / ms["numpy"]
        verdict = "reached" if faster >= FASTER and ratio <= OF_NUMPY else "missed"
        print(f"{kind}: fused is {faster:.1f}× faster (≥ {FASTER:g}), {ratio:.1f}× numpy (≤ {OF_NUMPY:g}): {verdict}")


if __name__ == "__main__":
    main()
