"""Edges listed twice are refused everywhere, and cycles that no data reach run on their biases."""

from __future__ import annotations

import io
from itertools import pairwise

import h5py
import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError


def _wire(*ports: str) -> nir.NIRGraph:
    """A graph that adds up what comes to its ports, times 3."""
    nodes: dict[str, nir.NIRNode] = {port: nir.Input(np.array([2])) for port in ports}
    nodes |= {"s": nir.Scale(np.full(2, 3.0)), "output": nir.Output(np.array([2]))}
    return nir.NIRGraph(nodes, [*((port, "s") for port in ports), ("s", "output")], type_check=False)


def _outer(inner: nir.NIRNode, *edges: tuple[str, str]) -> nir.NIRGraph:
    nodes = {"input": nir.Input(np.array([2])), "a": inner, "output": nir.Output(np.array([2]))}
    return nir.NIRGraph(nodes, list(edges), type_check=False)


TWICE = {
    "plain": (_outer(nir.Scale(np.ones(2)), ("input", "a"), ("a", "output"), ("input", "a")), "'input' -> 'a'"),
    "thrice": (_outer(nir.Scale(np.ones(2)), *[("input", "a")] * 3, ("a", "output")), "listed 3 times"),
    "as a list": (_outer(nir.Scale(np.ones(2)), ("input", "a"), ["input", "a"], ("a", "output")), "'input' -> 'a'"),
    "by the port's name": (_outer(_wire("i"), ("input", "a"), ("input", "a.i"), ("a", "output")), "'input' -> 'a.s'"),
    "from the port's name": (
        _outer(_wire("i"), ("input", "a"), ("a", "output"), ("a.output", "output")),
        "'a.s' -> 'output'",
    ),
    "by two ports": (_outer(_wire("i", "j"), ("input", "a.i"), ("input", "a.j"), ("a", "output")), "'input' -> 'a.s'"),
    "inside": (_outer(_wire("i"), ("input", "a"), ("a", "output")), "'a.i' -> 'a.s'"),
}
TWICE["inside"][0].nodes["a"].edges.append(("i", "s"))


@pytest.mark.parametrize("case", TWICE)
def test_an_edge_that_is_there_twice_is_named(case: str) -> None:
    graph, said = TWICE[case]
    (problem,) = nirbridge.check(graph)
    assert said in str(problem)
    assert problem.rule == "edges_are_listed_once"
    for runtime in ("reference", "norse", "lava"):
        with pytest.raises(GraphError, match="edge 'input' -> 'a|edge 'a"):
            nirbridge.compile(graph, runtime)
    if "port" not in case:  # the list itself is wrong, so no file is written
        with pytest.raises(GraphError, match="is listed"):
            nirbridge.write(io.BytesIO(), graph)


def test_a_file_that_lists_an_edge_twice_is_refused() -> None:
    file = io.BytesIO()
    nirbridge.write(file, _outer(nir.Scale(np.ones(2)), ("input", "a"), ("a", "output")))
    with h5py.File(file, "a") as stored:
        edges = stored["node/edges"][()]
        del stored["node/edges"]
        stored["node/edges"] = np.concatenate([edges, edges[:1]]).astype(object)
    with pytest.raises(GraphError, match=r"file object \(BytesIO\) \(NIRGraph\), edge 'input' -> 'a': is listed twice"):
        nirbridge.read(file)


def test_two_ways_through_different_nodes_add_up() -> None:
    nodes = {"input": nir.Input(np.array([2])), "a": _wire("i"), "b": _wire("i"), "output": nir.Output(np.array([2]))}
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output"), ("input", "output")]
    with nirbridge.compile(nir.NIRGraph(nodes, edges, type_check=False)) as program:
        assert program.run(np.ones((1, 1, 2))).output.tolist() == [[[7.0, 7.0]]]


@pytest.mark.parametrize("edge", [("a",), ("a", "b", "c"), ("a", 3), "ab", None])
def test_an_edge_that_is_no_pair_of_names(edge: object) -> None:
    graph = _outer(nir.Scale(np.ones(2)), ("input", "a"), ("a", "output"))
    graph.edges.append(edge)
    (problem,) = nirbridge.check(graph)
    assert "is no pair of names" in str(problem)
    with pytest.raises(GraphError, match="is no pair of names"):
        nirbridge.write(io.BytesIO(), graph)


WEIGHT, BIAS = np.array([[0.0, 0.5], [-0.5, 0.0]]), np.array([1.5, 1.25])


def _driven_by_biases(order: tuple[str, ...], lif: float) -> nir.NIRGraph:
    """input → output, beside it a LIF that drives itself through an Affine; ``lif`` parameters in each element."""
    ones = np.ones(()) if lif == 0 else np.ones(2)
    nodes = {
        "input": nir.Input(np.array([2])),
        "w": nir.Affine(WEIGHT, BIAS),
        "s": nir.LIF(*(ones * value for value in (0.02, 1.0, 0.0, 1.0, 0.0))),
        "output": nir.Output(np.array([2])),
    }
    edges = [("s", "w"), ("w", "s"), ("s", "output"), ("input", "output")]
    return nir.NIRGraph({name: nodes[name] for name in order}, edges, type_check=False)


@pytest.mark.parametrize("order", [("input", "w", "s", "output"), ("s", "w", "output", "input")])
@pytest.mark.parametrize(
    ("runtime", "options"),
    [("reference", {}), ("norse", {}), ("lava", {"mapping": "fused"}), ("lava", {"mapping": "processes"})],
)
def test_a_cycle_that_no_data_reach_runs_on_its_biases(
    order: tuple[str, ...], runtime: str, options: dict[str, str]
) -> None:
    v, z, expected, membranes = np.zeros(2), np.zeros(2), [], []
    for _ in range(200):
        v = v + 0.05 * (WEIGHT @ z + BIAS - v)
        z = (v > 1) * 1.0
        v = np.where(v > 1, 0.0, v)
        expected.append(z)
        membranes.append(v)
    assert np.sum(expected, axis=0).tolist() == [9, 5]
    x = np.random.default_rng(0).integers(0, 3, (200, 3, 2)).astype(np.float64)
    for whole in (0, 1):
        with nirbridge.compile(_driven_by_biases(order, whole), runtime, **options) as program:
            result = program.run(x, record=["s", "s:v"])
            assert np.array_equal(result.records["s"], np.repeat(np.array(expected)[:, None], 3, axis=1))
            assert np.array_equal(result.output, x + result.records["s"])
            np.testing.assert_allclose(result.records["s:v"][:, 1], membranes, atol=1e-6)
            program.reset()
            assert np.array_equal(np.stack([program.step(frame) for frame in x[:9]]), result.output[:9])


def test_what_no_data_and_no_cycle_reach_is_still_an_error() -> None:
    nodes = {
        "input": nir.Input(np.array([2])),
        "w": nir.Affine(WEIGHT, BIAS),
        "output": nir.Output(np.array([2])),
    }
    graph = nir.NIRGraph(nodes, [("w", "output"), ("input", "output")], type_check=False)
    assert [str(problem) for problem in nirbridge.check(graph)] == [
        "node 'w' (Affine): no data reach it. Connect it to an Input or remove it."
    ]


@pytest.mark.parametrize("way", ["input w w output", "input w v w output"])
def test_a_cycle_of_nested_graphs_that_hold_no_node_is_one_line(way: str) -> None:
    ends = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    wire = nir.NIRGraph(dict(ends), [("input", "output")], type_check=False)
    names = way.split()
    nodes = {**ends, **dict.fromkeys(names[1:-1], wire)}
    graph = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
    problem = nirbridge.check(graph)[0]
    assert "what it hands on comes back to it through no node" in problem.found
    with pytest.raises(GraphError, match="through no node"):
        nirbridge.compile(graph)
