"""Shape inference against torch, where NIR's own is wrong, and its messages."""

from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest

from nirbridge.errors import GraphError
from nirbridge.ir import Aggregate, MaxPool2d, MultiLevelLIF, build_graph, flatten, infer_shapes
from tests.ir.graphs import chain

torch = pytest.importorskip("torch")


def _output(*nodes: nir.NIRNode, shape: tuple[int, ...]) -> tuple[int, ...]:
    graph = chain(*nodes, shape=shape, out=(1,))
    graph.nodes["output"] = nir.Output(None)
    shapes, problems = infer_shapes(flatten(graph))
    assert problems == []
    return shapes["output"].output


CONVS = [
    case
    for case in itertools.product(
        [(3, 3), (1, 5), (2, 3)], [1, (2, 1)], [0, (1, 2), "same", "valid"], [1, (1, 2)], [1, 2]
    )
    if case[2] != "same" or case[1] == 1  # neither torch nor nirbridge has a strided "same" convolution
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "groups"), CONVS)
def test_conv2d_agrees_with_torch(
    kernel: tuple[int, int], stride: object, padding: object, dilation: object, groups: int
) -> None:
    weight = np.ones((4, 4 // groups, *kernel), np.float32)
    node = nir.Conv2d(None, weight, stride, padding, dilation, groups, np.zeros(4))
    expected = torch.nn.functional.conv2d(
        torch.zeros(1, 4, 9, 11), torch.from_numpy(weight), None, stride, padding, dilation, groups
    )
    assert _output(node, shape=(4, 9, 11)) == tuple(expected.shape[1:])


def test_strided_same_is_refused() -> None:
    node = nir.Conv2d(None, np.ones((4, 4, 3, 3)), 2, "same", 1, 1, np.zeros(4))
    with pytest.raises(GraphError, match="needs stride 1"):
        build_graph({"i": nir.Input(np.array([4, 9, 9])), "c": node, "o": nir.Output(None)}, [("i", "c"), ("c", "o")])


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), ((3, 2), (1, 2), (1, 0)), (3, 1, 1)])
def test_pools_agree_with_torch(kernel: object, stride: object, padding: object) -> None:
    expected = torch.nn.functional.max_pool2d(torch.zeros(1, 3, 7, 8), kernel, stride, padding).shape[1:]
    pair = [np.broadcast_to(np.array(v), (2,)) for v in (kernel, stride, padding)]
    for node in (nir.SumPool2d(*pair), nir.AvgPool2d(*pair), MaxPool2d(*pair)):
        assert _output(node, shape=(3, 7, 8)) == tuple(expected)


def test_linear_works_on_the_last_axis() -> None:
    assert _output(nir.Linear(np.ones((5, 3))), shape=(7, 3)) == (7, 5)
    assert _output(nir.Affine(np.ones((2, 5, 3)), np.zeros((2, 5))), shape=(2, 3)) == (2, 5)
    assert _output(Aggregate(np.eye(7)), shape=(7, 3)) == (7, 3)


def test_flatten_counts_without_batch() -> None:
    assert _output(nir.Flatten(None, 0, -1), shape=(2, 3, 4)) == (24,)
    assert _output(nir.Flatten(None, 1, 2), shape=(2, 3, 4)) == (2, 12)


def test_scalar_parameters_take_the_shape_that_comes() -> None:
    one = np.array(1.0)
    assert _output(nir.LIF(one, one, one, one, one), shape=(2, 3)) == (2, 3)


def test_nested_graphs_are_followed() -> None:
    inner = chain(nir.Linear(np.ones((5, 3))), nir.Threshold(np.array(1.0)), shape=(3,), out=(5,))
    outer = chain(inner, nir.Linear(np.ones((2, 5))), shape=(3,), out=(2,))
    flat = flatten(outer)
    assert list(flat.nodes) == ["input", "n0.n0", "n0.n1", "n1", "output"]
    assert set(flat.edges) == {("input", "n0.n0"), ("n0.n0", "n0.n1"), ("n0.n1", "n1"), ("n1", "output")}
    shapes, problems = infer_shapes(flat)
    assert problems == []
    assert shapes["n0.n1"].output == (5,)


def test_nested_twice_and_passed_straight_through() -> None:
    wire = nir.NIRGraph(
        {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))},
        [("input", "output")],
        type_check=False,
    )
    flat = flatten(chain(chain(wire, shape=(3,), out=(3,)), nir.Scale(np.ones(3)), shape=(3,), out=(3,)))
    assert list(flat.nodes) == ["input", "n1", "output"]
    assert flat.edges == (("input", "n1"), ("n1", "output"))


def test_cycles_are_cut_where_the_walk_returns() -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "lif": MultiLevelLIF.one_hot((3,), 2),
        "rec": nir.Linear(np.eye(3)),
        "output": nir.Output(np.array([3])),
    }
    edges = [("rec", "lif"), ("lif", "output"), ("input", "lif"), ("lif", "rec")]
    order = flatten(nir.NIRGraph(nodes, edges, type_check=False)).topology
    assert order.delayed == (True, False, False, False)
    assert set(order.loop) == {"lif", "rec"}
    assert order.order.index("rec") == order.order.index("lif") + 1


def test_a_self_loop_is_a_cycle() -> None:
    nodes = {"input": nir.Input(np.array([3])), "z": nir.Scale(np.ones(3)), "output": nir.Output(np.array([3]))}
    flat = flatten(nir.NIRGraph(nodes, [("input", "z"), ("z", "z"), ("z", "output")], type_check=False))
    assert flat.topology.delayed == (False, True, False)
    assert flat.topology.loop.keys() == {"z"}


def test_one_mistake_is_one_problem() -> None:
    graph = chain(nir.Linear(np.ones((5, 4))), nir.Scale(np.ones(5)), nir.Linear(np.ones((2, 5))), shape=(3,), out=(2,))
    _, problems = infer_shapes(flatten(graph))
    assert [problem.where for problem in problems] == ["node 'n0' (Linear)"]
    assert "does not end with the 4 columns" in problems[0].found


def test_all_mistakes_are_reported() -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": nir.Linear(np.ones((5, 4))),
        "b": MultiLevelLIF.one_hot((4,), 2),
        "output": nir.Output(np.array([5])),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("gone", "output")]
    with pytest.raises(GraphError) as error:
        build_graph(nodes, edges)
    text = str(error.value)
    assert len(text.splitlines()) == 3
    assert all(name in text for name in ("'a'", "'b'", "'gone'"))


def test_sums_must_agree() -> None:
    nodes = {
        "input": nir.Input(np.array([3])),
        "a": nir.Linear(np.ones((5, 3))),
        "b": nir.Linear(np.ones((4, 3))),
        "output": nir.Output(None),
    }
    edges = [("input", "a"), ("input", "b"), ("a", "output"), ("b", "output")]
    with pytest.raises(GraphError, match="do not add up"):
        build_graph(nodes, edges)
