"""What is said of a graph, in data and in text."""

from __future__ import annotations

import json

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import InputError
from nirbridge.ir import PRIMITIVES, Aggregate, MultiLevelLIF, PhaseEncode, SparseMatrix, build_graph, find_spec
from nirbridge.showing import describe, to_svg, to_text
from nirbridge.showing.parameters import count_parameters, key_parameters, stored_parameters
from nirbridge.showing.roles import role_of
from tests.ir.graphs import every_node


def recurrent() -> nir.NIRGraph:
    nodes = {
        "out": nir.Output(np.array([3])),
        "back": nir.Linear(np.eye(3)),
        "act": MultiLevelLIF.one_hot((3,), lanes=2, decay=0.5),
        "fc": nir.Affine(np.ones((3, 4)), np.zeros(3)),
        "in": nir.Input(np.array([4])),
    }
    edges = [("act", "out"), ("act", "back"), ("back", "act"), ("fc", "act"), ("in", "fc")]
    return build_graph(nodes, edges)


def test_nodes_stand_in_the_order_of_execution() -> None:
    found = describe(recurrent())
    names = [node.name for node in found.nodes]
    assert names[:2] == ["in", "fc"]
    assert names.index("act") < names.index("back")
    assert [(e.source, e.target) for e in found.edges if e.delayed] == [("back", "act")]
    assert {node.name for node in found.nodes if node.cycle} == {"act", "back"}
    assert (found.inputs, found.outputs) == (("in",), ("out",))


def test_counts_by_hand() -> None:
    found = describe(recurrent())
    by_name = {node.name: node for node in found.nodes}
    assert by_name["fc"].parameters == 3 * 4 + 3
    # 2 lanes of threshold, weight and reset; decay, gain, v_init and v_reset are one number each.
    assert by_name["act"].parameters == 3 * 2 + 4
    assert found.totals() == {
        "nodes": 5,
        "edges": 5,
        "edges_closing_a_cycle": 1,
        "neurons": 3,
        "parameters": 15 + 10 + 9,
    }
    assert by_name["fc"].input_shape == (4,)
    assert by_name["fc"].output_shape == (3,)
    assert by_name["act"].levels == 2
    assert by_name["fc"].levels is None


def test_a_sparse_matrix_counts_its_entries() -> None:
    matrix = SparseMatrix((4, 4), np.array([0, 1, 3]), np.array([1, 1, 0]), np.ones(3))
    assert count_parameters(Aggregate(matrix)) == 3
    assert key_parameters(Aggregate(matrix)) == ("weight 4x4 sparse",)


def test_usual_values_are_left_out_and_units_given() -> None:
    conv = nir.Conv2d(None, np.ones((8, 2, 5, 3)), (2, 1), 0, 1, 2, np.zeros(8))
    assert key_parameters(conv) == ("weight 8x2x5x3", "stride 2,1", "groups 2")
    p = np.full(20, 0.5)
    lif = nir.LIF(tau=np.linspace(0.01, 0.02, 20), r=p * 2, v_leak=p * 0, v_threshold=p, v_reset=p * 0)
    assert key_parameters(lif) == ("tau 0.01..0.02 s", "v_threshold 0.5")


def test_large_fields_are_given_by_range_and_nan_is_null() -> None:
    weight = np.arange(12, dtype=np.float32).reshape(3, 4)
    weight[0, 0] = np.nan
    fields = stored_parameters(nir.Linear(weight))
    assert fields["weight"] == {"shape": [3, 4], "dtype": "float32", "min": None, "max": None}
    assert stored_parameters(nir.Linear(np.array([[1.5, 2.0]])))["weight"] == [[1.5, 2.0]]


def test_rates_of_a_phase_coded_graph() -> None:
    nodes = {"in": nir.Input(np.array([2])), "enc": PhaseEncode((2,), 16), "out": nir.Output(np.array([2]))}
    found = describe(build_graph(nodes, [("in", "enc"), ("enc", "out")]))
    assert [(node.name, node.rate) for node in found.nodes] == [("in", "1"), ("enc", "16"), ("out", "16")]
    assert "16 phases" in to_text(found)


@pytest.mark.parametrize("kind", [k for k in PRIMITIVES.values() if k is not nir.NIRGraph], ids=lambda k: k.__name__)
def test_every_primitive_has_a_family_and_key_parameters(kind: type[nir.NIRNode]) -> None:
    node = next(node for node in every_node().values() if type(node) is kind) if kind not in (nir.Output,) else None
    if node is not None:
        assert role_of(node) != "unknown"
    assert find_spec(kind).shown.fields or kind in (nir.Input, nir.Output)


def test_every_node_alone_is_described_without_its_shapes() -> None:
    graph = nir.NIRGraph(every_node(), [], type_check=False)
    found = describe(graph)
    assert len(found.nodes) == len(every_node())
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["totals"]["nodes"] == len(found.nodes)
    assert to_svg(found).count('<g class="node">') == len(found.nodes)


def test_the_text_in_full() -> None:
    assert to_text(describe(recurrent()), "net.nir") == (
        "net.nir\n"
        "\n"
        "node  type           input -> output  levels  parameters  key parameters\n"
        "in    Input          4\n"
        "fc    Affine         4 -> 3                           15  weight 3x4\n"
        "act   MultiLevelLIF  3                     2          10  decay 0.5, lane_threshold 1,2, lane_weight 1,2, "
        "reset subtract, boundary >\n"
        "back  Linear         3                                 9  weight 3x3\n"
        "out   Output         3\n"
        "\n"
        "edge         shape\n"
        "in -> fc     4\n"
        "fc -> act    3\n"
        "act -> back  3\n"
        "act -> out   3\n"
        "back -> act  3      closes a cycle: 1 step later\n"
        "\n"
        "5 nodes, 5 edges (1 closing a cycle), 3 neurons, 34 parameters"
    )


def test_a_graph_with_no_nodes() -> None:
    found = describe(nir.NIRGraph({}, [], type_check=False))
    assert to_text(found).startswith("no nodes\n\nno edges\n\n0 nodes")
    assert to_svg(found).startswith("<svg ")


def test_unknown_shapes_are_question_marks_and_problems_are_listed() -> None:
    nodes = {"in": nir.Input(np.array([4])), "fc": nir.Linear(np.ones((3, 5))), "out": nir.Output(np.array([3]))}
    graph = nir.NIRGraph(nodes, [("in", "fc"), ("fc", "out"), ("fc", "gone")], type_check=False)
    found = describe(graph)
    text = to_text(found)
    assert [node.output_shape for node in found.nodes] == [(4,), None, (3,)]
    assert "fc    Linear  ?" in text
    assert "edge to or from 'gone': no node has this name" in text
    assert "input (4,) does not end with the 5 columns" in text
    picture = to_svg(found)
    assert "no node has this name" in picture
    assert picture.count('stroke="#d50000"') == 1


def test_the_published_cnn(shared_data) -> None:  # type: ignore[no-untyped-def]
    import nirbridge

    found = describe(nirbridge.read(shared_data / "nir-paper" / "02_cnn" / "cnn_sinabs.nir"))
    shapes = {node.name: node.output_shape for node in found.nodes}
    assert shapes["0"] == (16, 16, 16)
    assert shapes["8"] == (128,)
    assert next(node.parameters for node in found.nodes if node.name == "0") == 16 * 2 * 5 * 5 + 16
    assert found.problems == ()


def test_show_gives_what_the_command_prints() -> None:
    graph = recurrent()
    assert nirbridge.show(graph, title="net.nir") == to_text(describe(graph), "net.nir")
    assert nirbridge.show(graph) == to_text(describe(graph))
    assert nirbridge.show(graph, "svg") == to_svg(describe(graph))
    assert json.loads(nirbridge.show(graph, form="json")) == json.loads(json.dumps(describe(graph).to_dict()))
    with pytest.raises(InputError, match="option 'form': 'png' is not among 'text', 'svg', 'json'"):
        nirbridge.show(graph, "png")
