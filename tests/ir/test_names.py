"""Names of nodes: every graph is run right, so that a record by a name gives that node, or refused in one line."""

from __future__ import annotations

import io

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nirbridge
from nirbridge.errors import GraphError

_PARTS = st.text(max_size=4) | st.sampled_from(["a", "b", "input", "output", "v", "\n", "/", "\0", "é", "x" * 300, " "])
_NAMES = st.lists(_PARTS, min_size=1, max_size=3).flatmap(
    lambda parts: st.sampled_from([".", ":", "/", "\nin", ":v", ""]).map(lambda joint: joint.join(parts))
) | st.sampled_from(
    ["a", "a:v", "a.input", "a.output", "a.b", "a.b.input", "a.b:v", "input", "output", "", ":v", "a:in"]
)


def _graph(names: list[str], nested: bool) -> nir.NIRGraph:
    """input → scale by 3 → IF that adds up to 10 → output, and beside it a scale by 5, each with a name of its own."""
    source, scale, fire, other, sink = names
    three: nir.NIRNode = nir.Scale(np.full(2, 3.0))
    if nested:
        inner = {"input": nir.Input(np.array([2])), "b": three, "output": nir.Output(np.array([2]))}
        three = nir.NIRGraph(inner, [("input", "b"), ("b", "output")], type_check=False)
    nodes = {
        source: nir.Input(np.array([2])),
        scale: three,
        fire: nir.IF(np.ones(2), np.full(2, 10.0), np.zeros(2)),
        other: nir.Scale(np.full(2, 5.0)),
        sink: nir.Output(np.array([2])),
    }
    edges = [(source, scale), (scale, fire), (fire, sink), (source, other), (other, sink)]
    return nir.NIRGraph(nodes, edges, type_check=False)


def _require_right(names: list[str], nested: bool, runtime: str) -> bool:
    """Whether the graph ran, and then every record was right."""
    graph = _graph(names, nested)
    source, scale, fire, other, sink = names
    scale = f"{scale}.b" if nested else scale
    try:
        program = nirbridge.compile(graph, runtime)
    except GraphError as error:
        assert nirbridge.check(graph)
        assert len(str(error)) < 2000
        return False
    x = np.arange(12.0).reshape(6, 1, 2)
    v, spikes, membranes = np.zeros(2), [], []
    for frame in x[:, 0]:
        v = v + 3 * frame
        spikes.append((v > 10) * 1.0)
        v = np.where(v > 10, 0, v)
        membranes.append(v)
    expected = {
        source: x,
        scale: 3 * x,
        fire: np.array(spikes)[:, None],
        other: 5 * x,
        sink: np.array(spikes)[:, None] + 5 * x,
        f"{fire}:v": np.array(membranes)[:, None],
    }
    with program:
        result = program.run(x, record=list(expected))
    np.testing.assert_array_equal(result.output, expected[sink])
    for name, values in expected.items():
        np.testing.assert_array_equal(result.records[name], values, err_msg=repr(name))
    return True


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.lists(_NAMES, min_size=5, max_size=5, unique=True), st.booleans(), st.sampled_from(["reference", "norse"]))
def test_any_names(names: list[str], nested: bool, runtime: str) -> None:
    _require_right(names, nested, runtime)


ODD = [
    "a",
    "a.input",
    "a:in",
    "in a",
    "a\nin",
    "graph",
    "tie",
    "cycle of a",
    "a:sink",
    "é\x1b[31m",
    "x" * 400,
    "a/b",
    " ",
]


@pytest.mark.parametrize("mapping", ["fused", "processes"])
def test_odd_names_on_lava(mapping: str) -> None:
    pytest.importorskip("lava")
    for start in range(0, len(ODD) - 4, 3):
        names = ODD[start : start + 5]
        graph = _graph(names, False)
        x = np.arange(12.0).reshape(6, 1, 2)
        with nirbridge.compile(graph) as expected, nirbridge.compile(graph, "lava", mapping=mapping) as program:
            left, right = (p.run(x, record=names) for p in (expected, program))
        for name in names:
            np.testing.assert_array_equal(left.records[name], right.records[name], err_msg=repr(name))


@pytest.mark.parametrize("name", ["a.output", "a.input", "a.b"])
def test_a_name_of_a_nested_graphs_node_is_taken(name: str) -> None:
    graph = _graph(["in", "a", name, "other", "out"], nested=True)
    (problem,) = nirbridge.check(graph)
    assert str(problem) == f"node '{name}': its name is taken by a node of a nested graph. Rename it."
    with pytest.raises(GraphError, match="its name is taken"):
        nirbridge.compile(graph)
    file = io.BytesIO()
    nirbridge.write(file, graph)
    assert [p.where for p in nirbridge.check(nirbridge.read(file))] == [f"node '{name}'"]


@pytest.mark.parametrize("order", [["a", "a.b"], ["a.b", "a"]])
def test_taken_in_either_order_and_deeper(order: list[str]) -> None:
    port = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    deep = nir.NIRGraph(dict(port), [("input", "output")], type_check=False)
    nodes = {
        "a": nir.NIRGraph({"b.c": deep}, [], type_check=False),
        "a.b": nir.NIRGraph({"c": deep}, [], type_check=False),
    }
    graph = nir.NIRGraph({name: nodes[name] for name in order}, [], type_check=False)
    problems = nirbridge.check(graph)
    assert {problem.where for problem in problems} == {"node 'a.b.c.input'", "node 'a.b.c.output'"}


def test_a_node_with_the_name_of_a_membranes_record() -> None:
    (problem,) = nirbridge.check(_graph(["in", "scale", "n", "n:v", "out"], nested=False))
    assert str(problem) == "node 'n:v' (Scale): its name is that of the membrane of node 'n'. Rename one of them."


def test_a_graph_that_holds_itself() -> None:
    graph = nir.NIRGraph({"input": nir.Input(np.array([2]))}, [], type_check=False)
    graph.nodes["self"] = graph
    with pytest.raises(GraphError, match="nested deeper than 16"):
        nirbridge.check(graph)
    with pytest.raises(GraphError, match="nested deeper than 16"):
        nirbridge.write(io.BytesIO(), graph)
