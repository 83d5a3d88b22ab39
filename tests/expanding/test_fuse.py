"""What expand made is folded back, and nothing else is."""

from __future__ import annotations

from copy import copy

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.expanding.core import state_shapes
from nirbridge.ir import MaxPool2d, MultiLevelLIF, build_graph, graph_differences
from tests.conformance.cases import dyadic, line, net, weights


def _network() -> nir.NIRGraph:
    nodes = {
        "c1": nir.Conv2d((6, 6), weights(3, 2, 3, 3).astype(np.float64), 1, 1, 1, 1, np.zeros(3)),
        "a1": MultiLevelLIF.one_hot((3, 6, 6), 3, 0.5, 0.5),
        "pool": MaxPool2d(2, 2, 0),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(weights(5, 27).astype(np.float64), np.zeros(5)),
        "a2": MultiLevelLIF.uniform((5,), 6, 4.0, v_init=0.5),
        "rec": nir.Linear(weights(5, 5, seed=4).astype(np.float64) / 4),
    }
    return state_shapes(net(nodes, "input c1 a1 pool flat fc a2 output", "a2 rec a2", shape=(2, 6, 6)))


def test_round_trip_of_a_network() -> None:
    graph = _network()
    expanded = nirbridge.expand(graph)
    assert len(expanded.nodes) > 40
    back = nirbridge.fuse(expanded)
    assert list(back.nodes) == list(graph.nodes)
    assert sorted(back.edges) == sorted(graph.edges)
    assert [line for line in graph_differences(graph, back) if "edges" not in line] == []
    x = dyadic((8, 2, 2, 6, 6), -2, 6, 0.25, 5)
    with nirbridge.compile(graph) as original, nirbridge.compile(back) as fused, nirbridge.compile(expanded) as core:
        expected = original.run(x).output
        assert np.array_equal(fused.run(x).output, expected)
        assert np.array_equal(core.run(x).output, expected)
    assert len(np.unique(expected)) > 3


NEURONS = {
    "per neuron": MultiLevelLIF.one_hot((4,), 3, np.arange(1.0, 5), 2.0 ** -np.arange(4), v_init=np.arange(4.0)),
    ">=": MultiLevelLIF.one_hot((4,), 2, 0.5, 0.5, boundary=">="),
    "not dyadic": MultiLevelLIF.uniform((4,), 12, 0.1, 0.9, 0.05, "value"),
    "free": MultiLevelLIF(
        (4,), 0.5, 2.0, 0.0, np.array([0.5, 1, 3]), np.array([1.0, -2, 5]), np.array([0.25, 0.5, 1]), 0.0
    ),
    "hard": MultiLevelLIF.one_hot((4,), 3, np.arange(1.0, 5), 1.0, "value", v_reset=-0.5, gain=0.3),
    "hard, leaky": MultiLevelLIF.one_hot((4,), 4, 0.7, np.array([0.5, 0.9, 0.99, 0.3]), "value", v_init=0.1),
    "hard, two lanes": MultiLevelLIF.one_hot((4,), 2, 1.0, 0.8, "value"),
    "one step": MultiLevelLIF.one_hot((4,), 3, 0.5, 0.0),
}


@pytest.mark.parametrize("name", NEURONS)
def test_round_trip_of_neurons(name: str) -> None:
    graph = state_shapes(line(NEURONS[name], shape=(4,)))
    assert graph_differences(graph, nirbridge.fuse(nirbridge.expand(graph))) == []


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_it_does_not_matter_what_values_are_stored_in(dtype: type, reset: str) -> None:
    graph = state_shapes(line(MultiLevelLIF.one_hot((4,), 3, 2.0, 1.0, reset), nir.Scale(np.ones(4)), shape=(4,)))
    expanded = nirbridge.expand(graph)
    for node in expanded.nodes.values():
        for name, value in vars(node).items():
            small = isinstance(value, np.ndarray) and np.abs(value).max(initial=0) < 2**15  # all but the kick
            if small and (value == value.astype(dtype)).all():
                setattr(node, name, value.astype(dtype))
    back = nirbridge.fuse(expanded)
    assert list(back.nodes) == list(graph.nodes)
    assert back.nodes["n1"].scale.dtype == dtype
    assert graph_differences(line(graph.nodes["n0"], shape=(4,)), line(back.nodes["n0"], shape=(4,))) == []


def test_graphs_without_expanded_parts_stay_as_they_are() -> None:
    graph = state_shapes(line(nir.Linear(weights(3, 4)), nir.Threshold(np.ones(3)), shape=(4,)))
    assert graph_differences(graph, nirbridge.fuse(graph)) == []


@pytest.mark.parametrize("change", ["value", "edge in", "edge out", "missing edge"])
def test_a_part_that_was_changed_is_not_folded(change: str) -> None:
    """Names alone decide nothing: with any value or edge changed the graph means something else."""
    graph = nirbridge.expand(line(MultiLevelLIF.one_hot((4,), 3, 0.5, 0.5), shape=(4,)))
    nodes, edges = dict(graph.nodes), list(graph.edges)
    if change == "value":
        nodes["n0.take1"] = nir.Scale(nodes["n0.take1"].scale * 2)
        nodes["n0.take2"] = nir.Scale(nodes["n0.take2"].scale * 2)
        nodes["n0.send0"] = copy(nodes["n0.send0"])
        nodes["n0.leak"] = nir.Scale(np.full(4, 0.25))
        nodes["n0.after"] = nir.Scale(np.full(4, 2.0))
    elif change == "edge in":
        edges.append(("input", "n0.membrane"))
    elif change == "edge out":
        edges.append(("n0.fired1", "output"))
    else:
        edges.remove(("n0.take0", "n0.after"))
        edges.append(("n0.take0", "output"))
    changed = build_graph(nodes, edges)
    back = nirbridge.fuse(changed)
    assert "n0.membrane" in back.nodes
    assert graph_differences(state_shapes(changed), state_shapes(back)) == []
