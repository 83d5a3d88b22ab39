"""How many random networks give equal values, and what single precision may turn."""

from __future__ import annotations

import numpy as np

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.errors import NirbridgeError
from nirbridge.quantizing import quantize

from .measuring import Section
from .vgg import frames, make_graph

NAME, TITLE = "equality", "Equal results"
ABOUT = """Equality is promised for integer and dyadic weights only: their sums are exact in any order. With other
weights the order in which single precision rounds turns thresholds: which spikes, `nirbridge.compare` counts. Here
random graphs of the conformance suite (every node type, cycles, several inputs; dyadic parameters) run on the
reference and on the Norse runtime, in one call, step by step and in integers, every value of every node compared; then
VGGSNN at a quarter of its width with weights that are not dyadic."""
COUNT = 200
WHY: dict[str, str] = {}


def values_of(graph: object, x: object, runtime: str, way: str, precision: str) -> dict[str, np.ndarray]:
    """What every node sends, by "run" or, of outputs alone, "step"."""
    options = {"dtype": "float64"} if (runtime, precision) == ("norse", "float") else {}
    with nirbridge.compile(graph, runtime, dt=DT, precision=precision, **options) as program:
        if way == "run":
            return program.run(x, record=program.plan.names).records
        inputs = x if isinstance(x, dict) else {program.plan.inputs[0]: x}
        steps = len(next(iter(inputs.values())))
        outputs = [program.step({name: data[t] for name, data in inputs.items()}) for t in range(steps)]
    if isinstance(outputs[0], dict):
        return {name: np.stack([output[name] for output in outputs]) for name in outputs[0]}
    return {program.plan.outputs[0]: np.stack(outputs)}


def measure(quick: bool = False) -> Section:
    """Counts; no times."""
    section = Section()
    graphs, compared, differing, refused = dict.fromkeys(("run", "step", "integers"), 0), 0, 0, 0
    for seed in range(3 if quick else COUNT):
        graph = random_graph(seed)
        x = random_data(graph, seed)
        ways = [("run", graph, "float", "run"), ("step", graph, "float", "step")]
        try:
            ways.append(("integers", quantize(graph, x, dt=DT), "fixed", "run"))
        except NirbridgeError:
            refused += 1
        expected = {precision: {} for _, _, precision, _ in ways}
        for name, subject, precision, way in ways:
            expected[precision] = expected[precision] or values_of(subject, x, "reference", "run", precision)
            try:
                found = values_of(subject, x, "norse", way, precision)
            except NirbridgeError:  # windows of several steps
                continue
            graphs[name] += 1
            compared += sum(array.size for array in found.values())
            differing += sum(int((array != expected[precision][key]).sum()) for key, array in found.items())
    if differing:
        raise AssertionError(f"{differing} of {compared} values differ from the reference's")
    section.notes.append(
        f"Dyadic and integer networks: {graphs['run']} in one call, {graphs['step']} step by step and "
        f"{graphs['integers']} in integers (the others have no integer form), {compared:,} values: 0 differ."
    )
    section.notes.append(turned(quick))
    return section


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
