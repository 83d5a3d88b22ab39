"""500 random graphs: reference and norse agree in every value of every node; a sample of them also on lava."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.ir import PRIMITIVES
from nirbridge.runtime import find_runtime, make_plan, support_problems
from tests.conformance.test_conformance import UNUSABLE, as_dict, assert_same

COUNT, BATCHES = 500, 10


def _run(graph: nir.NIRGraph, seed: int, runtime: str, **options: object) -> dict[str, np.ndarray]:
    with nirbridge.compile(graph, runtime, dt=DT, precision="float", **options) as program:
        found = program.run(random_data(graph, seed), record=program.plan.names)
    return {**found.records, **as_dict(found.output)}


def _outputs(values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in values.items() if name.startswith("out")}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_reference_and_norse_agree(batch: int) -> None:
    """In double precision, which holds all these values: not one may differ."""
    if "norse" in UNUSABLE:
        pytest.skip(UNUSABLE["norse"])
    for seed in range(batch, COUNT, BATCHES):
        graph = random_graph(seed)
        assert not [p for p in nirbridge.check(graph, precision="float") if p.severity == "error"], seed
        expected = _run(graph, seed, "reference")
        found = _run(graph, seed, "norse", dtype="float64")
        assert_same({name: found[name] for name in expected}, expected, f"seed {seed}")


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_single_precision_is_within_the_tolerance(seed: int) -> None:
    if "norse" in UNUSABLE:
        pytest.skip(UNUSABLE["norse"])
    graph = random_graph(seed)
    found = nirbridge.compare(graph, random_data(graph, seed), ["norse"], dt=DT, precision="float", tolerance=1e-4)
    assert found.agrees, found.table()


@pytest.mark.parametrize("runtime", ["reference", "norse"])
@pytest.mark.parametrize("seed", range(0, 30, 3))
def test_weights_mean_the_same_however_wide_they_are_stored(seed: int, runtime: str) -> None:
    """Their values fit in 16 bits."""
    if runtime in UNUSABLE:
        pytest.skip(UNUSABLE[runtime])
    single, half, double = (_stored(random_graph(seed), dtype) for dtype in (np.float32, np.float16, np.float64))
    expected = _run(double, seed, runtime)
    for graph in (single, half):
        assert_same(_run(graph, seed, runtime), expected, f"seed {seed}")


def _stored(graph: nir.NIRGraph, dtype: type) -> nir.NIRGraph:
    for node in graph.nodes.values():
        if isinstance(weight := getattr(node, "weight", None), np.ndarray):
            node.weight = weight.astype(dtype)
            assert (node.weight == weight).all()
    return graph


@pytest.mark.parametrize("seed", range(100, 108))
def test_lava_agrees(seed: int) -> None:
    if "lava" in UNUSABLE:
        pytest.skip(UNUSABLE["lava"])
    graph = random_graph(seed)
    problems = support_problems(find_runtime("lava"), make_plan(graph, DT))
    if problems:
        pytest.skip("; ".join(map(str, problems)))
    assert_same(_run(graph, seed, "lava"), _run(graph, seed, "reference"), f"seed {seed}")


def test_the_graphs_are_varied() -> None:
    """The generator makes what the property speaks of: every type it can, cycles, nesting, several inputs, activity."""
    kinds: set[str] = set()
    features = dict.fromkeys(("cycle", "nested", "joined", "inputs", "outputs", "active"), 0)
    for seed in range(0, COUNT, 4):
        graph = random_graph(seed)
        plan = make_plan(graph, DT)
        kinds |= {type(planned.node).__name__ for planned in plan.nodes}
        features["cycle"] += any(planned.loop is not None for planned in plan.nodes)
        features["nested"] += any(type(node) is nir.NIRGraph for node in graph.nodes.values())
        features["joined"] += any(len(planned.sources) > 1 for planned in plan.nodes)
        features["inputs"] += len(plan.inputs) > 1
        features["outputs"] += len(plan.outputs) > 1
        outputs = _outputs(_run(graph, seed, "reference"))
        features["active"] += any(len(np.unique(values)) > 1 for values in outputs.values())
    assert kinds == set(PRIMITIVES) - {"NIRGraph"} | {"FirstSpikePool2d"}  # a MaxPool2d behind a PhaseIF
    share = {name: count / len(range(0, COUNT, 4)) for name, count in features.items()}
    assert share.pop("active") > 0.8
    assert min(share.values()) > 0.1, share
