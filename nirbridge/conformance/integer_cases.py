"""Graphs of integers for precision "fixed": every node type that has an integer form, and states that saturate."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import nir
import numpy as np

from nirbridge.conformance.cases import Array, Case, Graph, line, net
from nirbridge.ir import (
    Aggregate,
    EventInput,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    SparseMatrix,
    TemporalMix,
    build_graph,
)

DT = 1e-3
STATE = 2**23 - 1


def whole(*shape: int, low: int = -40, high: int = 60, seed: int = 1) -> Array:
    """Random integers of 8 bits."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.int32)


def data(case: Case, high: int = 7) -> dict[str, Array]:
    """[T, B, *shape] of small integers for every input of the case."""
    found = {}
    for index, (name, node) in enumerate(case.graph().nodes.items()):
        if type(node) in (nir.Input, EventInput):
            shape = tuple(int(n) for n in node.output_type["output"])
            generator = np.random.default_rng(100 + index)
            found[name] = generator.integers(-2, high, (case.steps, 3, *shape)).astype(np.float64)
    return found


def leaky(decays: list[int]) -> Array:
    """Time constants that lose δ/4096 a step, for DT."""
    return DT * 4096 / np.array(decays, dtype=np.float64)


def _conv(cin: int, cout: int, kernel: tuple[int, ...], *args: object, groups: int = 1) -> nir.Conv2d | nir.Conv1d:
    stride, padding, dilation = args or (1, 0, 1)
    kind = nir.Conv2d if len(kernel) == 2 else nir.Conv1d
    return kind(None, whole(cout, cin // groups, *kernel), stride, padding, dilation, groups, whole(cout, seed=3))


def _synapses() -> list[tuple[str, list[nir.NIRNode], tuple[int, ...]]]:
    ring = SparseMatrix((4, 4), np.arange(4), (np.arange(4) + 1) % 4, whole(4))
    two = np.array([2, 2])
    return [
        ("affine", [nir.Affine(whole(3, 4), whole(3))], (4,)),
        ("linear", [nir.Linear(whole(3, 4))], (2, 4)),
        ("scale", [nir.Scale(whole(4)), nir.Scale(np.array(-8))], (4,)),
        ("conv1d", [_conv(4, 6, (3,), 2, 1, 2, groups=2)], (4, 9)),
        ("conv2d", [_conv(2, 3, (3, 2), (2, 1), (1, 0), (1, 2))], (2, 7, 8)),
        ("conv2d depthwise", [_conv(4, 4, (3, 3), 1, "same", 1, groups=4)], (4, 6, 7)),
        ("sum pool", [nir.SumPool2d(np.array([3, 2]), np.array([2, 1]), np.array([1, 0]))], (2, 7, 8)),
        ("max pool", [MaxPool2d((3, 2), (2, 1), (1, 1))], (2, 6, 8)),
        ("pools and flatten", [nir.SumPool2d(two, two, 0 * two), nir.Flatten(None, 0, -1)], (2, 4, 4)),
        ("aggregate", [Aggregate(whole(4, 4))], (4, 5)),
        ("aggregate sparse", [Aggregate(ring)], (4, 5)),
        ("place", [Place((2, 3, 1), (5, 3, 4), 1, 3)], (2, 3, 1)),
        ("product", [_conv(2, 6, (1, 1)), Product((6, 2, 2), 3)], (2, 2, 2)),
        ("delay", [nir.Delay(np.array([0, 1, 2, 5, 30]) * DT)], (5,)),
    ]


def _neurons() -> list[tuple[str, nir.NIRNode]]:
    theta, reset = whole(5, low=50, high=300, seed=4), whole(5, low=-30, high=30, seed=5)
    one, zero = np.ones(5), np.zeros(5)
    slow, mixed = leaky([1, 100, 2048, 4096, 7]), leaky([512, 1024, 1, 4096, 4000])
    return [
        ("threshold", nir.Threshold(whole(5))),
        ("I", nir.I(2 * one)),
        ("IF", nir.IF(2 * one, theta, reset)),
        ("LI", nir.LI(mixed, mixed / DT, zero)),
        ("LIF", nir.LIF(slow, slow / DT, zero, theta, reset)),
        ("CubaLI", nir.CubaLI(slow, mixed, mixed / DT, zero, slow / DT)),
        ("CubaLIF", nir.CubaLIF(mixed, slow, slow / DT, zero, theta, reset, mixed / DT)),
        *(
            (
                f"one-hot S={lanes} {kind} {boundary}",
                _lanes(
                    replace(
                        MultiLevelLIF.one_hot((5,), lanes, 37, 0.5, kind, boundary),
                        decay=np.array([0, 1, 2048, 4095, 4096]) / 4096,
                        gain=np.array(2),
                    )
                ),
            )
            for lanes in (1, 3, 8)
            for kind in ("subtract", "value")
            for boundary in (">", ">=")
        ),
        ("uniform N=255", _lanes(MultiLevelLIF.uniform((5,), 255, 3, 0.75, 5))),
        ("lanes per neuron", _lanes(MultiLevelLIF.one_hot((5,), 3, theta, 0.25, "value", ">=", v_reset=reset))),
        (
            "free lanes",
            MultiLevelLIF((5,), 1.5, 1, 7, np.array([5, 90, 300]), np.array([1, -2, 5]), np.array([9, -50, 700]), 0),
        ),
    ]


def _windows() -> list[tuple[str, tuple[type[nir.NIRNode], ...], Callable[[], Graph]]]:
    """Phase codes of several bases, waits and first phases, with sums that saturate; mixed windows."""

    def phase(*nodes: nir.NIRNode, shape: tuple[int, ...] = (4,), scale: int = 5) -> Callable[[], Graph]:
        return lambda: line(PhaseEncode(shape, 6, 2.0, np.array(scale)), *nodes, shape=shape)

    def fire(base_in: float, base_out: float, **options: Any) -> PhaseIF:
        theta, start = whole(5, low=40, high=200, seed=4), whole(5, low=-30, high=30, seed=5)
        return PhaseIF((5,), 6, options.pop("wait", 6), base_in, base_out, theta, start, **options)

    weight, back = nir.Linear(whole(5, 4)), nir.Linear(whole(4, 5, seed=6))
    exact, again, decode = fire(2.0, 1.3), fire(1.3, 1.7), PhaseDecode((5,), 6, 1.3, whole(5, seed=8))
    wide = PhaseIF((2, 4, 4), 6, 6, 2.0, 1.3, np.array(1), np.array(0))
    uneven = nir.AvgPool2d(np.array([3, 2]), np.array([2, 1]), np.array([1, 0]))
    lmht = _lanes(MultiLevelLIF.uniform((5,), 4, 60, v_init=30))
    return [
        ("phase encode", (PhaseEncode,), phase()),
        (
            "phase encode base 1.3",
            (PhaseEncode,),
            lambda: line(PhaseEncode((4,), 9, 1.3, whole(4, low=1, high=9)), shape=(4,)),
        ),
        ("phase if", (PhaseIF,), phase(weight, exact)),
        ("phase if, two layers", (PhaseIF, PhaseDecode), phase(weight, exact, back, weight, again, decode)),
        ("phase if early", (PhaseIF,), phase(weight, fire(2.0, 2.0, wait=1, rounding=False))),
        ("phase if first phase 0", (PhaseIF,), phase(weight, fire(1.3, 1.3, wait=3, first_phase=0))),
        ("phase if, saturating", (PhaseIF,), phase(nir.Linear(whole(5, 4) * 40_000), exact)),
        ("phase decode, saturating", (PhaseDecode,), phase(nir.Linear(whole(5, 4) * 400_000), decode)),
        ("phase max pool", (PhaseIF, MaxPool2d), phase(wide, MaxPool2d(2, 2, 0), shape=(2, 4, 4))),
        ("avg pool", (nir.AvgPool2d,), lambda: line(_conv(2, 3, (3, 3)), uneven, shape=(2, 7, 8))),
        ("temporal mix", (TemporalMix,), lambda: line(TemporalMix(whole(4, 4)), shape=(3,))),
        ("temporal mix 2→3", (TemporalMix,), lambda: line(TemporalMix(whole(3, 2)), shape=(2, 3))),
        (
            "lm-ht",
            (TemporalMix, MultiLevelLIF),
            lambda: line(weight, TemporalMix(whole(4, 4, low=0, high=5)), lmht, back, shape=(4,)),
        ),
    ]


def _lanes(node: MultiLevelLIF) -> MultiLevelLIF:
    """The lane fields as integers."""
    fields = ("lane_threshold", "lane_weight", "lane_reset", "v_init", "v_reset")
    integers: dict[str, Any] = {name: np.asarray(getattr(node, name)).astype(np.int32) for name in fields}
    return replace(node, **integers)


def _behind_weights(node: nir.NIRNode, factor: int = 1) -> Callable[[], Graph]:
    return lambda: line(nir.Linear(whole(5, 4) * factor), node, shape=(4,))


def _topologies() -> list[tuple[str, Callable[[], Graph]]]:
    def act() -> MultiLevelLIF:
        return _lanes(MultiLevelLIF.one_hot((4,), 3, 40, 0.5))

    recurrent = {"fc": nir.Linear(whole(4, 4)), "act": act(), "rec": nir.Affine(whole(4, 4, seed=9), whole(4))}
    gate = {
        "p": nir.Linear(whole(4, 4)),
        "a": act(),
        "p.at": Place((4,), (8,), 0, 4),
        "q": nir.Linear(whole(4, 4, seed=6)),
        "b": act(),
        "q.at": Place((4,), (8,), 4, 8),
        "m": Product((8,), 2),
        "fc": nir.Affine(whole(3, 4), whole(3)),
    }
    residual = {
        "a": nir.Linear(whole(4, 4)),
        "b": act(),
        "c": nir.Linear(whole(4, 4, seed=6)),
        "s": nir.Scale(np.array(4)),
        "d": act(),
    }
    return [
        ("recurrent", lambda: net(recurrent, "input fc act output", "act rec act", shape=(4,))),
        ("residual", lambda: net(residual, "input a b c d output", "b s d", shape=(4,))),
        ("gate", lambda: net(gate, "input p a p.at m fc output", "input q b q.at m", shape=(4,))),
        ("nested", lambda: _nested(act())),
    ]


def _nested(act: MultiLevelLIF) -> Graph:
    inner = net({"fc": nir.Affine(whole(4, 4), whole(4)), "act": act}, "input fc act output", shape=(4,))
    nodes = {"input": nir.Input(np.array([4])), "block": inner, "fc": nir.Linear(whole(3, 4)), "out": nir.Output(None)}
    return build_graph(nodes, list(itertools.pairwise(nodes)))


def _event_net() -> Graph:
    nodes = {
        "events": EventInput((2, 3, 4), (4, 3), 1000, 4, 3, "one-hot"),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(whole(5, 24), whole(5)),
        "act": _lanes(MultiLevelLIF.one_hot((5,), 3, 40, 0.5)),
        "output": nir.Output(None),
    }
    return build_graph(nodes, list(itertools.pairwise(nodes)))


_TOPOLOGY_KINDS: dict[str, tuple[type[nir.NIRNode], ...]] = {"nested": (nir.NIRGraph,), "gate": (Place, Product)}
INTEGER_CASES: tuple[Case, ...] = (
    *(
        Case(name, tuple(type(n) for n in nodes), partial(line, *nodes, shape=shape), dt=DT)
        for name, nodes, shape in _synapses()
    ),
    *(Case(name, (type(node),), _behind_weights(node), 20, DT) for name, node in _neurons()),
    *(
        Case(f"{name}, saturating", (type(node),), _behind_weights(node, 40_000), 20, DT)
        for name, node in _neurons()
        if type(node) is not nir.Threshold
    ),
    *(Case(name, _TOPOLOGY_KINDS.get(name, (MultiLevelLIF,)), build, dt=DT) for name, build in _topologies()),
    *(Case(name, kinds, build, dt=DT) for name, kinds, build in _windows()),
    Case("input to output", (nir.Input, nir.Output), partial(line, shape=(4,)), dt=DT),
    Case("event input", (EventInput,), _event_net, dt=DT),
    Case(
        "quantize", (Quantize,), partial(line, Quantize((4,), 0.75, -9, 9), nir.Linear(whole(3, 4)), shape=(4,)), dt=DT
    ),
)
