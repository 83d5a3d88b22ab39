"""``nirbridge diff``: what differs, how far, and the exit code."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph, graphs_equal
from nirbridge.showing import differences
from tests.cli.conftest import Invoke, small_graph
from tests.conformance.cases import CASES


def _changed(**nodes: nir.NIRNode) -> nir.NIRGraph:
    graph = small_graph()
    graph.nodes.update(nodes)
    return graph


def _lines(left: nir.NIRGraph, right: nir.NIRGraph) -> list[str]:
    return [str(difference) for difference in differences(left, right)]


def test_values_dtypes_and_shapes() -> None:
    fc = small_graph().nodes["fc"]
    weight = fc.weight.copy()
    weight[0, 1] += 0.25
    assert _lines(small_graph(), _changed(fc=nir.Affine(weight, fc.bias))) == [
        "fc.weight: changed: 1 of 12 values differ, by 0.25 at most"
    ]
    assert _lines(small_graph(), _changed(fc=nir.Affine(fc.weight.astype(np.float32), fc.bias))) == [
        "fc.weight: changed: dtype float64 became float32"
    ]
    assert _lines(small_graph(), _changed(act=MultiLevelLIF.one_hot((3,), lanes=3, decay=0.5)))[0] == (
        "act.lane_threshold: changed: shape 2 became 3"
    )
    assert _lines(small_graph(), _changed(act=MultiLevelLIF.one_hot((3,), lanes=2, decay=0.25))) == [
        "act.decay: changed: 0.5 became 0.25"
    ]


def test_nodes_edges_types_and_order() -> None:
    graph = small_graph()
    more = nir.NIRGraph(
        {**graph.nodes, "extra": nir.Scale(np.ones(3))},
        [*graph.edges, ("act", "extra"), ("fc", "act")],
        type_check=False,
    )
    assert sorted(_lines(graph, more)) == [
        "edges: only in B: act -> extra",
        "edges: only in B: fc -> act",
        "extra: only in B: node of type Scale",
    ]
    assert _lines(more, graph)[0] == "extra: only in A: node of type Scale"
    assert _lines(graph, _changed(fc=nir.Linear(np.ones((3, 4))))) == ["fc: changed: type Affine became Linear"]
    turned = nir.NIRGraph(dict(reversed(graph.nodes.items())), graph.edges[::-1], type_check=False)
    assert {line.partition(": changed")[0] for line in _lines(graph, turned)} == {"order"}


def test_nested_graphs() -> None:
    def nested(bias: float) -> nir.NIRGraph:
        inner = {"input": nir.Input(np.array([2])), "fc": nir.Affine(np.eye(2), np.full(2, bias))}
        inner["output"] = nir.Output(np.array([2]))
        block = build_graph(inner, list(itertools.pairwise(inner)))
        nodes = {"input": nir.Input(np.array([2])), "block": block, "output": nir.Output(np.array([2]))}
        return build_graph(nodes, list(itertools.pairwise(nodes)))

    assert _lines(nested(0), nested(1)) == ["block.fc.bias: changed: 2 of 2 values differ, by 1 at most"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_equal_graphs_have_no_difference(case) -> None:  # type: ignore[no-untyped-def]
    assert differences(case.graph(), case.graph()) == []
    assert graphs_equal(case.graph(), case.graph())


def test_command(graph_file: Path, tmp_path: Path, invoke: Invoke) -> None:
    other = tmp_path / "other.nir"
    nirbridge.write(other, _changed(act=MultiLevelLIF.one_hot((3,), lanes=2, decay=0.25)))
    result = invoke("diff", graph_file, graph_file)
    assert (result.exit_code, result.stdout) == (0, f"{graph_file} and {graph_file}: equal\n")
    result = invoke("diff", graph_file, other)
    assert (result.exit_code, result.stdout) == (1, "act.decay: changed: 0.5 became 0.25\n")
    result = invoke("diff", graph_file, other, "--json")
    assert json.loads(result.stdout)["differences"] == [
        {"where": "act.decay", "kind": "changed", "detail": "0.5 became 0.25"}
    ]
    assert invoke("diff", graph_file, tmp_path / "none.nir").exit_code == 2
