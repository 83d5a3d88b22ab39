"""Every fast path, each forced on and off, on random networks of whole numbers: all give the reference's integers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import nir
import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.ir import MaxPool2d, MultiLevelLIF, build_graph, flatten
from nirbridge.runtime import make_plan
from nirbridge_norse import convolution, linear, memory, program, schedule
from nirbridge_norse.fixed import bytes as fixed_bytes
from nirbridge_norse.stages import Stateless, Written
from tests.ir.graphs import chain

DT = 1 / 256
NETWORKS, TOGETHER = 200, 10
EVERYTHING, NOTHING = 2**40, 0
PATHS: dict[str, dict[tuple[Any, str], Any]] = {
    "compiled loops": {(convolution, "FEW_PRODUCTS"): EVERYTHING, (linear, "FEW_PRODUCTS"): EVERYTHING},
    "bytes": {(convolution, "FEW_PRODUCTS"): NOTHING, (linear, "FEW_PRODUCTS"): NOTHING},
    "single precision": {
        (convolution, "FEW_PRODUCTS"): NOTHING,
        (linear, "FEW_PRODUCTS"): NOTHING,
        (fixed_bytes, "largest_message"): lambda: 0,
    },
    "threads": {(program, "WORTH_THREADS"): NOTHING},
    "new memory": {(memory, "SMALL"): NOTHING, (schedule, "SMALL"): NOTHING, (memory, "LEARNED"): NOTHING},
    "kept memory": {(memory, "SMALL"): EVERYTHING, (schedule, "SMALL"): EVERYTHING},
}


@contextmanager
def forced(path: str) -> Iterator[None]:
    with ExitStack() as stack:
        for (where, name), value in PATHS[path].items():
            stack.enter_context(patch.object(where, name, value))
        threads = torch.get_num_threads()
        torch.set_num_threads(2 if path == "threads" else 1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def whole(random: np.random.Generator, *shape: int, most: int = 7) -> np.ndarray:
    return random.integers(-most, most + 1, shape).astype(np.float64)


def neuron(random: np.random.Generator, shape: tuple[int, ...]) -> nir.NIRNode:
    ones = np.ones(shape)
    if random.random() < 0.7:
        lanes, per_channel = int(random.integers(1, 7)), random.random() < 0.3
        threshold = random.integers(1, 9, (shape[0], *(1,) * (len(shape) - 1))) if per_channel else 4
        options = {"reset": "value"} if random.random() < 0.3 else {}
        return MultiLevelLIF.one_hot(shape, lanes, threshold=threshold, decay=random.choice([0.0, 0.5, 1.0]), **options)
    if random.random() < 0.5:
        return nir.IF(ones, ones * int(random.integers(2, 9)), 0 * ones)
    tau = ones * DT * 4
    return nir.CubaLIF(tau, tau, 4 * ones, 0 * ones, ones * 6, w_in=4 * ones, v_reset=0 * ones)


def random_network(seed: int) -> tuple[nir.NIRGraph, tuple[int, ...]]:
    """Convolutions, neurons, pools and a delay behind each other, a skip connection, matrices at the end."""
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 4)), *(int(side) for side in random.integers(5, 10, 2)))
    begin = shape
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input({"input": np.array(shape)})}
    edges, last, skip = [], "input", None

    def add(node: nir.NIRNode) -> None:
        nonlocal last
        name = f"n{len(nodes)}"
        nodes[name] = node
        edges.append((last, name))
        last = name

    for _ in range(int(random.integers(1, 4))):
        groups = int(random.choice([1, 1, 1, shape[0]]))
        sent = groups * int(random.integers(1, 6))
        kernel = [int(k) for k in random.integers(1, 4, 2)]
        stride, padding = int(random.integers(1, 3)), int(random.integers(0, 2))
        if random.random() < 0.2:
            stride, padding = 1, "same"
        weight = whole(random, sent, shape[0] // groups, *kernel)
        add(nir.Conv2d(shape[1:], weight, stride, padding, 1, groups, whole(random, sent)))
        shape = infer(nodes, edges, last)
        add(neuron(random, shape))
        if random.random() < 0.4:
            skip = (last, shape)
        if skip is not None and skip[1] == shape and skip[0] != last and random.random() < 0.5:
            edges.append((skip[0], f"n{len(nodes)}"))
            add(neuron(random, shape))
        if random.random() < 0.5 and min(shape[1:]) >= 2:
            kind = [nir.SumPool2d, nir.AvgPool2d, MaxPool2d][random.integers(3)]
            add(kind(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])))
            shape = infer(nodes, edges, last)
        if random.random() < 0.2:
            add(nir.Delay(np.full(shape, 2 * DT)))
        if min(shape[1:]) < 3:
            break
    add(nir.Flatten({"input": np.array(shape)}, 0, -1))
    size = int(np.prod(shape))
    add(nir.Affine(whole(random, 9, size), whole(random, 9)))
    add(neuron(random, (9,)))
    add(nir.Linear(whole(random, 3, 9, most=int(random.choice([7, 1000])))))
    nodes["output"] = nir.Output({"output": None})
    edges.append((last, "output"))
    return build_graph(nodes, edges), begin


def infer(nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], last: str) -> tuple[int, ...]:
    graph = build_graph({**nodes, "end": nir.Output({"output": None})}, [*edges, (last, "end")])
    return make_plan(graph, DT)[last].output_shape


@pytest.mark.parametrize("first", range(0, NETWORKS, TOGETHER))
def test_all_paths_give_the_integers_of_the_reference(first: int) -> None:
    for seed in range(first, first + TOGETHER):
        graph, shape = random_network(seed)
        random = np.random.default_rng(seed + 10_000)
        x = random.integers(0, 4, (6, 3, *shape)).astype(np.float64) * (random.random((6, 3, *shape)) < 0.5)
        names = [name for name in graph.nodes if name not in ("input", "output")]
        analysed = flatten(graph)
        with nirbridge.compile(analysed, precision="fixed", dt=DT) as reference:
            expected = reference.run(x, record=names).records
        assert any(expected[name].any() for name in names)
        for path in PATHS:
            with forced(path), nirbridge.compile(analysed, "norse", precision="fixed", dt=DT) as fast:
                whole_run = fast.run(x, record=names).records
                alone = fast.run(x).output
                fast.reset()
                steps = np.stack([fast.step(frame) for frame in x])
            for name in names:
                assert np.array_equal(whole_run[name], expected[name]), (seed, path, name)
            assert np.array_equal(alone, expected[names[-1]]), (seed, path)
            assert np.array_equal(steps, alone), (seed, path)


def stages_of(fast: Any) -> list[Any]:
    return [stage for part in fast._schedules for stage in part.stages.values()]


@pytest.mark.parametrize("path", PATHS)
def test_the_paths_are_taken(path: str) -> None:
    """By more than one network in two; else the test above would show little."""
    found: Counter[str] = Counter()
    for seed in range(20):
        graph, shape = random_network(seed)
        x = np.ones((2, 3, *shape))
        with forced(path), nirbridge.compile(graph, "norse", precision="fixed", dt=DT) as fast:
            fast.run(x)
            synapses = [stage for stage in stages_of(fast) if hasattr(stage, "narrow")]
            found["compiled loops"] += any(
                isinstance(stage.narrow, Written) and stage.narrow.sends is not None for stage in synapses
            )
            found["bytes"] += any(stage.bytes is not None for stage in synapses)
            found["single precision"] += all(stage.bytes is None for stage in synapses)
            found["threads"] += len(fast._schedules) == 2
            found["new memory"] += all(getattr(stage, "_kept", None) is None for stage in stages_of(fast))
            found["kept memory"] += any(getattr(stage, "_kept", None) is not None for stage in stages_of(fast))
    if path == "bytes" and not fixed_bytes.largest_message():
        pytest.skip("this processor or this torch has no exact products of bytes")
    assert found[path] > 10


@pytest.mark.parametrize("groups", [1, 2])
def test_the_option_sparse_takes_large_convolutions(groups: int) -> None:
    random = np.random.default_rng(3)
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input({"input": np.array([8, 20, 20])}),
        "conv": nir.Conv2d((20, 20), whole(random, 64, 8 // groups, 3, 3), 1, 1, 1, groups, whole(random, 64)),
        "act": nir.IF(np.ones((64, 20, 20)), np.full((64, 20, 20), 4.0), np.zeros((64, 20, 20))),
        "output": nir.Output({"output": None}),
    }
    graph = build_graph(nodes, [("input", "conv"), ("conv", "act"), ("act", "output")])
    x = (random.random((5, 2, 8, 20, 20)) < 0.05).astype(np.float32)
    with nirbridge.compile(graph) as reference, nirbridge.compile(graph, "norse", sparse=True) as sparse:
        assert isinstance(sparse._schedules[0].stages["conv"], Written if groups == 1 else Stateless)
        assert np.array_equal(sparse.run(x).output, reference.run(x).output)
    with nirbridge.compile(graph, "norse") as dense:
        assert isinstance(dense._schedules[0].stages["conv"], Stateless)


def test_weights_of_bytes_are_floating_point_only_for_inputs_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    if not fixed_bytes.largest_message():
        pytest.skip("this processor or this torch has no exact products of bytes")
    made: list[str] = []
    lower = convolution.convolution
    monkeypatch.setattr(convolution, "convolution", lambda p, setting: made.append(p.name) or lower(p, setting))
    random = np.random.default_rng(4)
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input({"input": np.array([32, 16, 16])}),
        "scale": nir.Scale(np.full((32, 16, 16), 8.0)),
        "begin": nir.IF(np.ones((32, 16, 16)), np.full((32, 16, 16), 32.0), np.zeros((32, 16, 16))),
        "conv": nir.Conv2d((16, 16), whole(random, 64, 32, 3, 3), 1, 1, 1, 1, whole(random, 64)),
        "act": nir.IF(np.ones((64, 16, 16)), np.full((64, 16, 16), 9.0), np.zeros((64, 16, 16))),
        "output": nir.Output({"output": None}),
    }
    graph = build_graph(nodes, list(pairwise(nodes)))
    with (
        nirbridge.compile(graph, precision="fixed", dt=DT) as reference,
        nirbridge.compile(graph, "norse", precision="fixed", dt=DT) as fast,
    ):
        for largest, wanted in ((8, []), (2**22, ["conv"]), (8, ["conv"])):
            x = random.integers(-largest, largest, (3, 2, 32, 16, 16)).astype(np.float64)
            assert np.array_equal(fast.run(x).output, reference.run(x).output)
            assert made == wanted


@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_a_weight_of_128_is_no_signed_byte_to_multiply_with(dtype: type) -> None:
    """Without VNNI two products of it with 129 leave 16 bits; its own magnitude leaves 8."""
    fields = {"decay": 0.0, "gain": 1.0, "v_init": 0.0, "v_reset": 0.0}
    lanes = {"lane_threshold": 1.0, "lane_weight": 129.0, "lane_reset": 0.0}
    neuron = MultiLevelLIF((256,), **fields, **{name: np.full((1, 256), value) for name, value in lanes.items()})
    weight = np.full((512, 256), -128).astype(dtype)
    graph = chain(neuron, nir.Affine(weight, np.zeros(512)), shape=(256,), out=(512,))
    x = np.full((2, 2, 256), 5.0)
    with (
        nirbridge.compile(graph, precision="fixed", dt=DT) as reference,
        nirbridge.compile(graph, "norse", precision="fixed", dt=DT) as fast,
    ):
        assert np.array_equal(fast.run(x).output, reference.run(x).output)


@pytest.mark.parametrize("kept", [NOTHING, memory.LEARNED])
def test_results_that_are_held_stay(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Large memory is taken again only when nobody reads it, be it by a view of a view; and so by the allocator."""
    monkeypatch.setattr(memory, "LEARNED", kept)
    size = 2**19
    graph = build_graph(
        {
            "input": nir.Input({"input": np.array([size])}),
            "act": nir.LI(np.full(size, DT * 4), np.ones(size), np.zeros(size)),
            "output": nir.Output({"output": None}),
        },
        [("input", "act"), ("act", "output")],
    )
    with nirbridge.compile(graph, "norse", dt=DT) as fast:
        held, places = [], set()
        for value in range(1, 7):
            result = fast.run(np.full((2, 1, size), value, np.float32)).output
            places.add(result.ctypes.data)
            held.append((value, torch.from_numpy(result[1])[0, 5:9] if value % 2 else memoryview(result[1, 0])[5:9]))
            del result
        assert len(places) == 6
        for value, seen in held:
            assert np.unique(np.asarray(seen)).tolist() == [np.float32(value * 0.25 * 1.75)]
        held.clear()
        del seen
        again = [fast.run(np.ones((2, 1, size), np.float32)).output.ctypes.data for _ in range(4)]
        assert len(set(again)) < 4
