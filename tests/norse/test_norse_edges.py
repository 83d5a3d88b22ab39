"""What once gave a wrong answer or ended the process: odd geometries, changing layouts, precisions, interrupts."""

from __future__ import annotations

import itertools

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.ir import Aggregate, PhaseEncode, PhaseIF, SparseMatrix, build_graph
from nirbridge.runtime import make_plan
from nirbridge.runtime.integer_bounds import single_precision_limit
from nirbridge_norse import convolution, linear, program, schedule
from nirbridge_norse.convolution import suits_blocks
from nirbridge_norse.stages import Neuron
from tests.norse.test_norse_fast_paths import DT, EVERYTHING, NOTHING, forced, whole

pytestmark = pytest.mark.usefixtures("library")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Synapses of all sizes go to oneDNN."""
    monkeypatch.setattr(convolution, "FEW_PRODUCTS", NOTHING)
    monkeypatch.setattr(linear, "FEW_PRODUCTS", NOTHING)


def spiking(shape: tuple[int, ...], threshold: float = 1.0) -> nir.IF:
    return nir.IF(np.ones(shape), np.full(shape, threshold), np.zeros(shape))


def chained(shape: tuple[int, ...], *nodes: nir.NIRNode) -> nir.NIRGraph:
    named = {"input": nir.Input({"input": np.array(shape)}), **{f"n{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output({"output": None})
    names = list(named)
    return build_graph(named, list(itertools.pairwise(names)))


def assert_equal(graph: nir.NIRGraph, x: np.ndarray, precision: str) -> None:
    with nirbridge.compile(graph, precision=precision, dt=DT) as reference:
        expected = reference.run(x).output
    with nirbridge.compile(graph, "norse", precision=precision, dt=DT) as fast:
        assert np.array_equal(fast.run(x).output, expected)


GEOMETRIES = [
    # Seen to be wrong in oneDNN's blocks, or to crash there: in, out, kernel, stride, padding, dilation, groups.
    ((64, 100, 4), 64, (3, 3), (2, 2), (0, 0), 1, 1),
    ((32, 100, 5), 64, (3, 4), (1, 2), (0, 0), 1, 1),
    ((32, 100, 2), 64, (3, 3), (1, 2), (0, 1), 1, 1),
    ((6, 30, 4), 12, (3, 3), (2, 2), (0, 0), 1, 2),
    ((1, 500, 4), 64, (4, 3), (1, 4), (0, 0), 1, 1),
    ((1, 700, 6), 96, (5, 5), (1, 2), (0, 0), 1, 1),
    ((3, 4, 1), 5, (3, 1), (4, 4), (2, 3), 2, 1),
    ((16, 30, 1), 16, (3, 1), (1, 2), (0, 1), 2, 1),
    ((3, 4, 4), 3, (6, 6), (1, 1), "same", 1, 3),
]


@pytest.mark.parametrize("precision", ["float", "fixed"])
@pytest.mark.parametrize(("shape", "sent", "kernel", "stride", "padding", "dilation", "groups"), GEOMETRIES)
def test_odd_geometries(shape, sent, kernel, stride, padding, dilation, groups, precision):
    random = np.random.default_rng(1)
    weight, bias = whole(random, sent, shape[0] // groups, *kernel, most=100), whole(random, sent)
    conv = nir.Conv2d(shape[1:], weight, stride, padding, dilation, groups, bias)
    x = random.integers(0, 3, (3, 2, *shape)).astype(np.float64)
    assert_equal(chained(shape, spiking(shape), conv), x, precision)


@pytest.mark.parametrize("seed", range(6))
def test_random_geometries_in_blocks(seed: int) -> None:
    """Wherever oneDNN may have a convolution, in both precisions, down to maps of two by two."""
    random, taken = np.random.default_rng(seed), 0
    while taken < 10:
        groups = int(random.choice([1, 1, 2, 4]))
        channels, sent = groups * int(random.integers(1, 20)), groups * int(random.integers(1, 40))
        shape = (channels, *(int(n) for n in random.integers(1, 14, 2)))
        kernel, stride = tuple(random.integers(1, 5, 2)), tuple(random.integers(1, 5, 2))
        padding = tuple(int(p) for p in random.integers(0, 3, 2))
        if any(n + 2 * p < k for n, p, k in zip(shape[1:], padding, kernel, strict=True)):
            continue
        weight = whole(random, sent, channels // groups, *kernel, most=100)
        conv = nir.Conv2d(shape[1:], weight, stride, padding, 1, groups, whole(random, sent))
        graph = chained(shape, spiking(shape), conv)
        if not suits_blocks(make_plan(graph, DT)["n1"]):
            continue
        taken += 1
        x = random.integers(0, 3, (3, 2, *shape)).astype(np.float64)
        for precision in ("float", "fixed"):
            assert_equal(graph, x, precision)


def test_a_matrix_of_bytes_on_several_rows() -> None:
    random = np.random.default_rng(1)
    graph = chained((3, 40), spiking((3, 40)), nir.Linear(whole(random, 30, 40)))
    assert_equal(graph, random.integers(0, 3, (4, 2, 3, 40)).astype(np.float64), "fixed")


def test_sums_behind_bytes_are_exact_where_single_precision_is_not() -> None:
    random = np.random.default_rng(2)
    chain = (spiking((30,)), nir.Linear(whole(random, 30, 30, most=100)), nir.I(np.ones(30)))
    graph = chained((30,), *chain, nir.Linear(whole(random, 3, 30, most=2**15)))
    assert single_precision_limit(make_plan(graph, DT)) == 0
    assert_equal(graph, random.integers(0, 3, (60, 2, 30)).astype(np.float64), "fixed")


def test_large_data_after_small_data_with_bytes() -> None:
    """The order of maps in memory changes with the precision of their convolution."""
    random = np.random.default_rng(3)
    shape = (8, 8, 8)
    conv = nir.Conv2d((8, 8), whole(random, 8, 4, 3, 3), 1, 1, 1, 2, whole(random, 8))
    matrix = nir.Linear(whole(random, 300, 512))
    graph = chained(shape, conv, spiking(shape), nir.Flatten({"input": np.array(shape)}, 0, -1), matrix)
    limit = single_precision_limit(make_plan(graph, DT))
    small = random.integers(-3, 4, (2, 2, *shape)).astype(np.float64)
    parts = [small, small * (limit + 1), small]
    with nirbridge.compile(graph, precision="fixed", dt=DT) as reference:
        expected = reference.run(np.concatenate(parts)).output
    with nirbridge.compile(graph, "norse", precision="fixed", dt=DT) as fast:
        for _ in range(2):
            fast.reset()
            found = np.concatenate([fast.advance(part).output for part in parts])
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("path", ["compiled loops", "new memory", "kept memory"])
def test_small_and_large_blocks_of_an_input_that_several_read(path: str) -> None:
    """A small convolution wants data channels last, a neuron takes them as they come."""
    random = np.random.default_rng(4)
    shape = (2, 16, 16)
    nodes = {
        "input": nir.Input({"input": np.array(shape)}),
        "conv": nir.Conv2d((16, 16), whole(random, 2, 2, 3, 3), 1, 1, 1, 1, whole(random, 2)),
        "act": spiking(shape, 3.0),
        "flat": nir.Flatten({"input": np.array(shape)}, 0, -1),
        "matrix": nir.Linear(whole(random, 20, 512)),
        "output": nir.Output({"output": None}),
    }
    edges = [("input", "conv"), ("input", "act"), ("conv", "flat"), ("act", "flat"), ("flat", "matrix")]
    graph = build_graph(nodes, [*edges, ("matrix", "output")])
    x = random.integers(0, 4, (40, 1, *shape)).astype(np.float32)
    with nirbridge.compile(graph) as reference:
        expected = reference.run(x).output
    with forced(path), pytest.MonkeyPatch.context() as patch, nirbridge.compile(graph, "norse") as fast:
        for limit in (1, 2**14, EVERYTHING):
            patch.setattr(schedule, "SMALL", 2**13)
            fast._block_bytes = limit
            fast.reset()
            found = [fast.advance(x[a:b]).output for a, b in ((0, 1), (1, 30), (30, 31), (31, 40))]
            assert np.array_equal(np.concatenate(found), expected)


def test_a_state_is_not_the_callers_memory() -> None:
    size = 2**18 + 1
    nodes = {
        "input": nir.Input({"input": np.array([size])}),
        "flat": nir.Flatten({"input": np.array([size])}, 0, -1),
        "output": nir.Output({"output": None}),
    }
    graph = build_graph(nodes, [("input", "flat"), ("flat", "flat"), ("flat", "output")])
    buffer = np.empty((1, size), np.float32)
    with nirbridge.compile(graph, "norse", dtype="float32") as fast:
        sums = []
        for value in (1, 2, 3):
            buffer[:] = value
            sums.append(float(fast.step(buffer)[0, 0]))
    assert sums == [1.0, 3.0, 6.0]


def test_no_thread_goes_on_after_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = chained((4,), spiking((4,), 3.0))
    x = np.ones((6, 5, 4), np.float32)
    monkeypatch.setattr(program, "WORTH_THREADS", NOTHING)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with nirbridge.compile(graph, "norse") as fast:
            expected = fast.run(x).output
            run = Neuron.run
            with monkeypatch.context() as patch:
                patch.setattr(Neuron, "run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
                with pytest.raises(KeyboardInterrupt):
                    fast.run(x, record="n0:v")
            assert Neuron.run is run
            assert all(stage.membranes is None for part in fast._schedules for stage in part.stages.values())
            assert np.array_equal(fast.run(x).output, expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(3, 1, 4), (3, 2, 2**17 + 1)])
def test_data_with_negative_strides(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(5).random(shape).astype(np.float32)
    graph = chained(shape[2:], spiking(shape[2:]))
    with nirbridge.compile(graph, "norse") as fast:
        for seen in (x[::-1], x[:, ::-1], x[:, :, ::-1]):
            assert np.array_equal(fast.run(seen).output, fast.run(seen.copy()).output)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_with_negative_strides(dtype: str) -> None:
    """Torch takes none: of one number, of a neuron that works on windows, and in a sparse matrix."""
    rows, ones = np.arange(2), np.array([2.0, 1.0])
    phase = PhaseIF((2, 1), 4, 4, 2.0, 2.0, ones[::-1, None], 0.0)
    nodes = (nir.Scale(np.ones(1)[::-1]), Aggregate(SparseMatrix((2, 2), rows, rows, ones[::-1])))
    graph = chained((2, 1), *nodes, PhaseEncode((2, 1), 4), phase, nir.Linear(np.ones((1, 2))[:, :1][::-1]))
    with nirbridge.compile(graph, "norse", dtype=dtype) as fast, nirbridge.compile(graph) as slow:
        x = np.array([[[[0.5], [0.25]]]])
        assert np.array_equal(fast.run(x).output, slow.run(x).output)
