"""Files whose shapes NIR's own inference got wrong run with the shapes that arrive, as torch computes them."""

from __future__ import annotations

import io
import itertools
import warnings

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError, GraphWarning

torch = pytest.importorskip("torch")
functional = torch.nn.functional


def _pair(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    return int(rng.integers(low, high)), int(rng.integers(low, high))


def _layer(rng: np.random.Generator, x: torch.Tensor) -> tuple[nir.NIRNode, torch.Tensor]:
    """A random convolution or pool, and what torch makes of x [1, C, H, W]."""
    kernel, stride, dilation = _pair(rng, 1, 4), _pair(rng, 1, 3), _pair(rng, 1, 3)
    channels = x.shape[1]
    if rng.random() < 0.3:
        padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
        node = nir.AvgPool2d(np.array(kernel), np.array(stride), np.array(padding))
        return node, functional.avg_pool2d(x, kernel, stride, padding)
    padding = [_pair(rng, 0, 3), "valid", "same"][rng.integers(3)]
    stride = (1, 1) if padding == "same" else stride
    groups = 2 if rng.random() < 0.3 else 1
    weight = rng.integers(-2, 3, (4, channels // groups, *kernel)).astype(np.float32)
    bias = rng.integers(-2, 3, 4).astype(np.float32)
    node = nir.Conv2d(None, weight, stride, padding, dilation, groups, bias)
    tensors = torch.from_numpy(weight), torch.from_numpy(bias)
    return node, functional.conv2d(x, *tensors, stride, padding, dilation, groups)


def _by_nir(nodes: dict[str, nir.NIRNode]) -> nir.NIRGraph | None:
    """The graph as NIR infers its types, written by NIR; None where its inference gives up."""
    file = io.BytesIO()
    try:
        nir.write(file, nir.NIRGraph(nodes, list(itertools.pairwise(nodes))))
    except Exception:
        return None
    return nirbridge.read(file)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_random_layers_as_nir_writes_them() -> None:
    mended = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = torch.from_numpy(rng.integers(-2, 3, (1, 4, 11, 13)).astype(np.float32))
        nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([4, 11, 13]))}
        y = x
        try:
            for index in range(int(rng.integers(1, 4))):
                nodes[f"n{index}"], y = _layer(rng, y)
        except RuntimeError:  # nothing is left
            continue
        nodes["output"] = nir.Output(None)
        graph = _by_nir(nodes)
        if graph is None or min(y.shape) < 1:
            continue
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with nirbridge.compile(graph) as program:
                output = program.run(x.numpy()[None]).output
        np.testing.assert_allclose(output[0], y.numpy(), atol=1e-4)
        wrong = tuple(graph.nodes["output"].output_type["output"]) != y.shape[1:]
        assert wrong <= bool(caught)
        assert all(warning.category is GraphWarning for warning in caught)
        mended += bool(caught)
    assert mended > 5


def test_a_second_convolution_and_a_flatten_behind_a_wide_kernel() -> None:
    """NIR takes (3, 3) for a kernel of (3, 5), so the next layers and the Output of its file state too much."""
    nodes = {
        "input": nir.Input(np.array([1, 9, 9])),
        "c1": nir.Conv2d(None, np.ones((2, 1, 3, 5), np.float32), 1, 0, 1, 1, np.zeros(2, np.float32)),
        "c2": nir.Conv2d(None, np.ones((1, 2, 3, 3), np.float32), 1, 0, 1, 1, np.zeros(1, np.float32)),
        "flat": nir.Flatten(None, 0, -1),
        "output": nir.Output(None),
    }
    graph = _by_nir(nodes)
    assert graph is not None
    problems = nirbridge.check(graph)
    assert [p.severity for p in problems] == ["warning"] * 3
    assert [p.found for p in problems] == [
        "declares input_shape (7, 7), while (7, 5) arrives",
        "declares input_type (1, 5, 5), while (1, 5, 3) arrives",
        "declares shape (25,), while (15,) arrives",
    ]
    with pytest.warns(GraphWarning), nirbridge.compile(graph) as program:
        output = program.run(np.ones((1, 1, 1, 9, 9))).output
    assert output.shape == (1, 1, 15)
    assert (output == 3 * 5 * 2 * 9).all()


def test_an_input_made_by_nir_for_a_convolution_of_groups_has_all_channels() -> None:
    conv = nir.Conv2d((5, 5), np.ones((4, 2, 3, 3), np.float32), 1, 1, 1, 2, np.zeros(4, np.float32))
    graph = nir.NIRGraph.from_list(conv)
    assert graph.nodes["input"].input_type["input"].tolist() == [2, 5, 5]
    (problem,) = nirbridge.check(graph)
    assert str(problem).startswith(
        "node 'input' (Input): declares shape (2, 5, 5), while (4, 5, 5) is what it leads to"
    )
    with pytest.warns(GraphWarning), nirbridge.compile(graph) as program:
        assert program.run(np.ones((1, 1, 4, 5, 5))).output[0, 0, :, 2, 2].tolist() == [18.0] * 4


def test_what_nir_does_not_get_wrong_stays_an_error() -> None:
    conv = nir.Conv2d((5, 5), np.ones((1, 1, 3, 3)), 1, 0, 1, 1, np.zeros(1))
    for nodes in (
        {"input": nir.Input(np.array([1, 7, 5])), "c": conv, "output": nir.Output(None)},
        {"input": nir.Input(np.array([1, 5, 5])), "c": conv, "output": nir.Output(np.array([1, 3, 4]))},
    ):
        (problem,) = nirbridge.check(nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
        assert problem.severity == "error"


@pytest.mark.parametrize(
    ("shape", "said"),
    [((8, 2, 5, 5), "first axis is probably the batch"), ((3, 8, 2, 5, 5), "two axes are probably time and batch")],
)
def test_a_batch_axis_in_an_input_is_named(shape: tuple[int, ...], said: str) -> None:
    conv = nir.Conv2d(None, np.ones((4, 2, 3, 3)), 1, 1, 1, 1, np.zeros(4))
    nodes = {"input": nir.Input(np.array(shape)), "c": conv, "output": nir.Output(np.array([*shape[:-3], 4, 5, 5]))}
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)
    (problem,) = nirbridge.check(graph)
    assert problem.where == "node 'input' (Input)"
    assert said in problem.found
    assert "State (2, 5, 5)" in problem.next_step


def test_data_without_the_axis_that_an_input_states() -> None:
    """A Linear works on the last axis, so the shapes agree with a batch axis; the data show it."""
    nodes = {"input": nir.Input(np.array([8, 3])), "fc": nir.Linear(np.ones((2, 3))), "output": nir.Output(None)}
    graph = nirbridge.ir.build_graph(nodes, list(itertools.pairwise(nodes)))
    with nirbridge.compile(graph) as program, pytest.raises(nirbridge.errors.InputError, match="probably the batch"):
        program.run(np.ones((5, 8, 3)))


@pytest.mark.parametrize("shape", [(0,), (2, 0), (-3,), (2.5,), tuple(range(1, 40))])
def test_shapes_that_hold_nothing_or_are_none_are_refused(shape: tuple[float, ...]) -> None:
    nodes = {"input": nir.Input(np.array(shape)), "s": nir.Scale(np.array(2.0)), "output": nir.Output(np.array(shape))}
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)
    problems = nirbridge.check(graph)
    assert problems
    assert problems[0].where == "node 'input' (Input)"
    for runtime in ("reference", "norse", "lava"):
        with pytest.raises(GraphError):
            nirbridge.compile(graph, runtime)


def test_weights_without_rows_are_refused() -> None:
    nodes = {"input": nir.Input(np.array([3])), "w": nir.Linear(np.ones((0, 3))), "output": nir.Output(np.array([0]))}
    problems = nirbridge.check(nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    assert "shape (0,) holds no value" in problems[0].found
