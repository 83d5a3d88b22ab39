"""A graph is flattened, ordered and its shapes are inferred once, whatever is done with it."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest
from click.testing import CliRunner

import nirbridge
from nirbridge.cli import main
from nirbridge.conformance.cases import CASES
from nirbridge.conformance.integer_cases import INTEGER_CASES
from nirbridge.ir import Product, Source, flat, flatten, infer_shapes, inference, once
from nirbridge.passes.resolve_phase_pooling import resolve_phase_pooling
from nirbridge.passes.widen_parameters import widen_parameters
from nirbridge.runtime import find_runtime, make_plan
from nirbridge.runtime.integer_bounds import grown
from tests.ir.graphs import chain

WALKS = {"flattened": (flat, "_collect"), "ordered": (flat, "find_topology"), "inferred": (inference, "_inferred")}
ONCE = dict.fromkeys(WALKS, 1)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a graph without nesting is walked through, by what for."""
    counted: Counter[str] = Counter()

    def counting(name: str, walk: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            counted[name] += 1
            return walk(*arguments)

        return call

    for name, (module, function) in WALKS.items():
        monkeypatch.setattr(module, function, counting(name, getattr(module, function)))
    return counted


def _conv_graph() -> nir.NIRGraph:
    weight = np.random.default_rng(0).integers(-4, 5, (2, 1, 3, 3)) / 4
    two = np.array((2, 2))
    nodes = [
        nir.Conv2d(None, weight, 1, 1, 1, 1, np.zeros(2)),
        nir.IF(np.ones(()), np.ones(()), np.zeros(())),
        nir.SumPool2d(two, two, 0 * two),
        nir.Flatten(None, 0, -1),
        nir.Affine(np.ones((3, 8)), np.zeros(3)),
        nir.LIF(np.full(3, 0.02), np.ones(3), np.zeros(3), np.ones(3), np.zeros(3)),
    ]
    return chain(*nodes, shape=(1, 4, 4), out=(3,))


@pytest.mark.parametrize("runtime", ["reference", "norse", "lava"])
def test_compile(walks: Counter[str], runtime: str) -> None:
    graph = _conv_graph()
    walks.clear()
    nirbridge.compile(graph, runtime).close()
    assert walks == ONCE


@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_compile_takes_no_time_to_speak_of(shared_data: Path, runtime: str) -> None:
    """The NIR paper's CNN of 15 nodes, in milliseconds of one processor."""
    graph = nirbridge.read(shared_data / "nir-paper" / "02_cnn" / "cnn_sinabs.nir")
    taken = []
    for _ in range(6):
        start = time.process_time()
        nirbridge.compile(graph, runtime).close()
        taken.append(1e3 * (time.process_time() - start))
    assert min(taken) < 50


def test_a_runtime_is_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_runtime("reference")
    monkeypatch.setattr("nirbridge.runtime.discovery.entry_points", lambda group: [])
    assert find_runtime("reference") is found


@pytest.mark.parametrize("runtime", [None, "reference", "norse", "lava"])
def test_check(walks: Counter[str], runtime: str | None) -> None:
    graph = _conv_graph()
    walks.clear()
    assert not nirbridge.check(graph, runtime)
    assert walks == ONCE


def test_what_is_flat_is_analysed_no_more(walks: Counter[str]) -> None:
    graph = flatten(_conv_graph())
    walks.clear()
    assert flatten(graph) is graph
    assert not nirbridge.check(graph, "norse")
    nirbridge.compile(graph, integrator="exact", reset="subtract").close()
    assert walks == {"ordered": 1, "inferred": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "{model}", "--runtime", "lava", "--chip", "loihi2"],
        ["show", "{model}"],
        ["run", "{model}", "-i", "{data}", "--runtime", "norse"],
        ["energy", "{model}", "-i", "{data}"],
        ["compare", "{model}", "-i", "{data}", "--runtimes", "norse"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_commands(walks: Counter[str], tmp_path: Path, arguments: list[str]) -> None:
    files = {"model": tmp_path / "model.nir", "data": tmp_path / "x.npy"}
    nirbridge.write(files["model"], _conv_graph())
    np.save(files["data"], np.ones((4, 2, 1, 4, 4)))
    walks.clear()
    result = CliRunner().invoke(main, [argument.format(**files) for argument in arguments])
    assert result.exit_code in (0, 1), result.output  # the chip wants integers
    assert walks == ONCE


def test_passes_over_nodes_keep_the_order() -> None:
    graph = flatten(_conv_graph())
    for changed in (graph, widen_parameters(graph), resolve_phase_pooling(graph)[0]):
        assert changed.topology is graph.topology
    assert graph.incoming["n1"] == (Source("n0"),)
    assert graph.sources("n1") == ("n0",)
    assert graph.targets("n1") == ("n2",)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_wiring_is_that_of_the_edges(case) -> None:  # type: ignore[no-untyped-def]
    graph = flatten(case.graph())
    late = dict(zip(graph.edges, graph.topology.delayed, strict=True))
    for name in graph.nodes:
        into = [edge for edge in graph.edges if edge[1] == name]
        assert graph.incoming[name] == tuple(Source(source, late[source, name]) for source, _ in into)
        assert graph.sources(name) == tuple(source for source, _ in into)
        assert graph.forward_sources(name) == tuple(edge[0] for edge in into if not late[edge])
        assert graph.targets(name) == tuple(target for source, target in graph.edges if source == name)


def test_once_keeps_what_was_found_with_the_object() -> None:
    asked = []

    @once
    def count(graph: object) -> int:
        asked.append(graph)
        return len(asked)

    first, second = flatten(_conv_graph()), flatten(_conv_graph())
    assert [count(first), count(second), count(first)] == [1, 2, 1]


def test_what_is_known_of_a_plan_travels_with_it() -> None:
    plan = make_plan(_conv_graph())
    assert [planned.name for planned in pickle.loads(pickle.dumps(plan)).nodes] == list(plan.names)


def test_shapes_of_a_read_graph_are_those_of_the_graph(tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "model.nir", _conv_graph())
    read = nirbridge.ir.read_flat(tmp_path / "model.nir")
    assert infer_shapes(read) == infer_shapes(flatten(nirbridge.read(tmp_path / "model.nir")))


@pytest.mark.parametrize("case", INTEGER_CASES, ids=lambda case: case.name)
def test_growth_is_a_factor_and_an_offset(case) -> None:  # type: ignore[no-untyped-def]
    """What bounds of integers rely on, to ask a rule for two values alone."""
    for planned in make_plan(case.graph(), case.dt).nodes:
        if type(planned.node) is Product:
            continue
        offset = grown(planned.node, 0)
        factor = grown(planned.node, 1) - offset
        for x in (2, 255, 2**23 - 1, 2**40):
            assert grown(planned.node, x) == factor * x + offset
