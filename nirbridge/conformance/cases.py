"""One small graph for every node type and variant, with data on which every runtime must be exact.

Weights, parameters and data are dyadic with few bits, so single precision holds every intermediate value exactly and
"equal" means equal.  To add a node type: a row in ``CASES``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import nir
import numpy as np
from numpy.typing import NDArray

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
    SparseMatrix,
    TemporalMix,
    build_graph,
)

Graph: TypeAlias = nir.NIRGraph
Array: TypeAlias = NDArray[Any]
STEPS, BATCH = 12, 3


@dataclass(frozen=True)
class Case:
    """A graph and the shape of its input.

    Attributes:
        name: for the test's name.
        kinds: the node types it is there for.
        build: makes the graph.
        steps: T of the data.
        dt: seconds per step; dyadic fractions of the time constants keep Euler steps exact.
    """

    name: str
    kinds: tuple[type[nir.NIRNode], ...]
    build: Callable[[], Graph]
    steps: int = STEPS
    dt: float = 2.0**-10

    def graph(self) -> Graph:
        """A fresh graph."""
        return self.build()


def dyadic(shape: tuple[int, ...], low: int, high: int, unit: float, seed: int) -> Array:
    """Random multiples of ``unit`` between low and high units."""
    return np.random.default_rng(seed).integers(low, high, shape) * unit


def data(case: Case) -> dict[str, Array]:
    """[T, B, *shape] for every input of the case."""
    found = {}
    for index, (name, node) in enumerate(case.graph().nodes.items()):
        if type(node) in (nir.Input, EventInput):
            shape = tuple(int(n) for n in node.output_type["output"])
            found[name] = dyadic((case.steps, BATCH, *shape), -2, 7, 0.5, 100 + index)
    return found


def line(*nodes: nir.NIRNode, shape: tuple[int, ...]) -> Graph:
    """input → n0 → n1 → ... → output."""
    named = {"input": nir.Input(np.array(shape)), **{f"n{i}": node for i, node in enumerate(nodes)}}
    named["output"] = nir.Output(None)
    names = list(named)
    return build_graph(named, list(itertools.pairwise(names)))


def net(nodes: dict[str, nir.NIRNode], *paths: str, shape: tuple[int, ...]) -> Graph:
    """A graph from paths such as ``"input a b output"``."""
    named = {"input": nir.Input(np.array(shape)), **nodes, "output": nir.Output(None)}
    edges = [pair for path in paths for pair in zip(path.split()[:-1], path.split()[1:], strict=True)]
    return build_graph(named, edges)


def weights(*shape: int, seed: int = 1) -> Array:
    """Float32 weights in eighths."""
    return dyadic(shape, -6, 9, 0.125, seed).astype(np.float32)


def positive(*shape: int, seed: int = 2) -> Array:
    """Float32 parameters from 1/2 to 4 in halves."""
    return dyadic(shape, 1, 9, 0.5, seed).astype(np.float32)


def _signed(*shape: int, seed: int = 3) -> Array:
    return dyadic(shape, -4, 5, 0.25, seed).astype(np.float32)


def _taus(*shape: int, seed: int = 4) -> Array:
    """Time constants of 1 or 2 steps of 2^-10 s: each step adds one bit to a membrane, of the 24 there are."""
    return 2.0 ** np.random.default_rng(seed).integers(0, 2, shape) * 2.0**-10


def _conv2d(cin: int, cout: int, kernel: tuple[int, int], *args: object, groups: int = 1) -> nir.Conv2d:
    stride, padding, dilation = args or (1, 0, 1)
    return nir.Conv2d(None, weights(cout, cin // groups, *kernel), stride, padding, dilation, groups, _signed(cout))


def _multi_level_cases() -> list[Case]:
    cases = []
    for lanes in (1, 2, 3, 8):
        for reset in ("subtract", "value"):
            for boundary in (">", ">="):
                node = MultiLevelLIF.one_hot((5,), lanes, 0.5, 0.5, reset, boundary, v_reset=0.25 * (reset == "value"))
                cases.append(_multi_level(f"one-hot S={lanes} {reset} {boundary}", node))
    scaled = MultiLevelLIF.one_hot((5,), 3, 1.0, 0.5, "value", ">", True, gain=0.5)
    per_neuron = MultiLevelLIF.one_hot(
        (5,), 3, positive(5), 2.0 ** -np.arange(5.0), "subtract", ">=", gain=positive(5, seed=5), v_init=_signed(5)
    )
    hard = MultiLevelLIF.one_hot((5,), 2, positive(5), 0.75, "value", ">", v_init=0.5, v_reset=_signed(5, seed=6))
    free = MultiLevelLIF(
        (5,), 0.5, 1.0, 0.0, np.array([0.5, 1.0, 3.0]), np.array([1.0, -2.0, 5.0]), positive(3, 5), 0.0
    )
    return [
        *cases,
        _multi_level("scaled, u += (x - u)/2", scaled),
        _multi_level("per neuron", per_neuron),
        _multi_level("per neuron, hard", hard),
        _multi_level("free lanes", free),
        *(
            _multi_level(f"uniform N={levels} {output}", MultiLevelLIF.uniform((5,), levels, 0.25, 1.0, 0.125, output))
            for levels in (1, 4, 15, 255)
            for output in ("level", "value")
        ),
        _multi_level("uniform per neuron", MultiLevelLIF.uniform((5,), 6, positive(5), 0.5, _signed(5))),
    ]


def _multi_level(name: str, node: MultiLevelLIF) -> Case:
    return Case(name, (MultiLevelLIF,), lambda: line(nir.Linear(weights(5, 4)), node, shape=(4,)))


def _neuron_cases() -> list[Case]:
    p, tau = positive, _taus
    nodes: list[nir.NIRNode] = [
        nir.Threshold(_signed(5)),
        nir.I(p(5)),
        nir.IF(p(5), p(5, seed=8), _signed(5)),
        nir.LI(tau(5), p(5), _signed(5)),
        nir.LIF(tau(5), p(5), _signed(5), p(5, seed=8), _signed(5, seed=9)),
        nir.LIF(*(np.array(v) for v in (2.0**-9, 2.0, 0.25, 1.0, 0.0))),
        nir.CubaLI(tau(5), tau(5, seed=7), p(5), _signed(5), p(5, seed=8)),
        nir.CubaLIF(tau(5), tau(5, seed=7), p(5), _signed(5), p(5, seed=8), _signed(5, seed=9), p(5, seed=3)),
        nir.Delay(np.array([0, 1, 2, 5, 30]) * 2.0**-10),
    ]
    return [Case(_name(node), (type(node),), partial_line(node), steps=8) for node in nodes]


def _name(node: nir.NIRNode) -> str:
    """LIF, or "LIF scalar" where the parameters are single numbers."""
    scalar = tuple(node.output_type["output"]) == ()
    return f"{type(node).__name__}{' scalar' if scalar else ''}"


def partial_line(node: nir.NIRNode) -> Callable[[], Graph]:
    """A graph that feeds ``node`` through a linear layer."""
    return lambda: line(nir.Linear(weights(5, 4)), node, shape=(4,))


def _synapse_cases() -> list[Case]:
    pool = [np.array(v) for v in ((3, 2), (2, 1), (1, 0))]
    two = np.array([2, 2])
    return [
        Case("input to output", (nir.Input, nir.Output), lambda: line(shape=(4,))),
        Case("affine", (nir.Affine,), lambda: line(nir.Affine(weights(3, 4), _signed(3)), shape=(4,))),
        Case("affine chain", (nir.Affine,), lambda: line(*[nir.Affine(weights(4, 4), _signed(4))] * 2, shape=(4,))),
        Case("linear", (nir.Linear,), lambda: line(nir.Linear(weights(3, 4)), shape=(4,))),
        Case("linear, last axis", (nir.Linear,), lambda: line(nir.Linear(weights(3, 4)), shape=(2, 4))),
        Case("scale", (nir.Scale,), lambda: line(nir.Scale(_signed(4)), shape=(4,))),
        Case("scale, scalar", (nir.Scale,), lambda: line(nir.Scale(np.array(0.5)), shape=(2, 4))),
        Case("conv1d", (nir.Conv1d,), lambda: line(_conv1d(1, 0, 1, 1), shape=(4, 9))),
        Case("conv1d wide", (nir.Conv1d,), lambda: line(_conv1d(2, 1, 2, 2), shape=(4, 9))),
        Case("conv1d same", (nir.Conv1d,), lambda: line(_conv1d(1, "same", 2, 1), shape=(4, 9))),
        Case("conv2d", (nir.Conv2d,), lambda: line(_conv2d(2, 3, (3, 3)), shape=(2, 7, 6))),
        Case("conv2d 3x2", (nir.Conv2d,), lambda: line(_conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2)), shape=(2, 7, 8))),
        Case("conv2d groups", (nir.Conv2d,), lambda: line(_conv2d(4, 6, (2, 3), 1, 1, 1, groups=2), shape=(4, 6, 7))),
        Case(
            "conv2d depthwise", (nir.Conv2d,), lambda: line(_conv2d(4, 4, (3, 3), 2, 1, 1, groups=4), shape=(4, 6, 7))
        ),
        Case("conv2d same", (nir.Conv2d,), lambda: line(_conv2d(2, 3, (2, 3), 1, "same", (2, 1)), shape=(2, 6, 7))),
        Case("sum pool", (nir.SumPool2d,), lambda: line(nir.SumPool2d(two, two, np.array([0, 0])), shape=(2, 6, 8))),
        Case("sum pool 3x2", (nir.SumPool2d,), lambda: line(nir.SumPool2d(*pool), shape=(2, 7, 8))),
        Case("avg pool", (nir.AvgPool2d,), lambda: line(nir.AvgPool2d(two, two, np.array([0, 0])), shape=(2, 6, 8))),
        Case(
            "avg pool padded",
            (nir.AvgPool2d,),
            lambda: line(nir.AvgPool2d(two, two, np.array([1, 0])), shape=(2, 6, 8)),
        ),
        Case("max pool", (MaxPool2d,), lambda: line(MaxPool2d(2, 2, 0), shape=(2, 6, 8))),
        Case("max pool 3x2", (MaxPool2d,), lambda: line(MaxPool2d((3, 2), (2, 1), (1, 0)), shape=(2, 7, 8))),
        Case(
            "flatten",
            (nir.Flatten,),
            lambda: line(nir.Flatten(None, 0, -1), nir.Linear(weights(3, 24)), shape=(2, 3, 4)),
        ),
        Case("flatten inner", (nir.Flatten,), lambda: line(nir.Flatten(None, 1, 2), shape=(2, 3, 4))),
        Case(
            "aggregate", (Aggregate,), lambda: line(Aggregate(weights(4, 4)), nir.Linear(weights(3, 5)), shape=(4, 5))
        ),
        Case("aggregate sparse", (Aggregate,), lambda: line(Aggregate(_ring()), shape=(4, 5))),
        Case("event input", (EventInput,), _event_net),
    ]


def _conv1d(stride: int, padding: object, dilation: int, groups: int) -> nir.Conv1d:
    return nir.Conv1d(None, weights(6, 4 // groups, 3), stride, padding, dilation, groups, _signed(6))


def _ring() -> SparseMatrix:
    return SparseMatrix((4, 4), np.arange(4), (np.arange(4) + 1) % 4, weights(4))


def _event_net() -> Graph:
    nodes = {
        "events": EventInput((2, 3, 4), (4, 3), 1000, 4, 3, "one-hot"),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(weights(5, 24), _signed(5)),
        "act": MultiLevelLIF.one_hot((5,), 3),
        "output": nir.Output(None),
    }
    names = list(nodes)
    return build_graph(nodes, list(itertools.pairwise(names)))


def _window_cases() -> list[Case]:
    def phase(*nodes: nir.NIRNode, shape: tuple[int, ...] = (4,)) -> Callable[[], Graph]:
        return lambda: line(PhaseEncode(shape, 4, 2.0, 4.0), *nodes, shape=shape)

    fire = PhaseIF((5,), 4, 4, 2.0, 2.0, positive(5), _signed(5))
    early = PhaseIF((5,), 4, 1, 2.0, 2.0, 1.0, 0.25, 1, False)
    later = PhaseIF((5,), 4, 2, 2.0, 2.0, 1.0, 0.0, 0)
    image = PhaseIF((2, 4, 4), 4, 4, 2.0, 2.0, 1.0, 0.0)
    return [
        Case("phase encode", (PhaseEncode,), phase()),
        Case("phase decode", (PhaseDecode,), phase(nir.Linear(weights(5, 4)), PhaseDecode((5,), 4, 2.0, _signed(5)))),
        Case("phase if", (PhaseIF,), phase(nir.Linear(weights(5, 4)), fire, PhaseDecode((5,), 4))),
        Case("phase if early", (PhaseIF,), phase(nir.Linear(weights(5, 4)), early)),
        Case("phase if first phase 0", (PhaseIF,), phase(nir.Linear(weights(5, 4)), later)),
        Case("phase max pool", (PhaseIF, MaxPool2d), phase(image, MaxPool2d(2, 2, 0), shape=(2, 4, 4))),
        Case("temporal mix", (TemporalMix,), lambda: line(TemporalMix(weights(4, 4)), shape=(3,))),
        Case("temporal mix 2→3", (TemporalMix,), lambda: line(TemporalMix(weights(3, 2)), shape=(2, 3))),
        Case(
            "lm-ht",
            (TemporalMix, MultiLevelLIF),
            lambda: line(
                nir.Affine(weights(5, 4), _signed(5)),
                TemporalMix(np.full((4, 4), 0.25)),
                MultiLevelLIF.uniform((5,), 4, 0.5, v_init=0.25, output="value"),
                nir.Affine(weights(3, 5), _signed(3)),
                shape=(4,),
            ),
        ),
    ]


def _product_cases() -> list[Case]:
    gate = {"p": nir.Linear(weights(3, 4)), "q": nir.Linear(weights(3, 4, seed=7)), "m": Product((6,), 2)}
    pair = {**gate, "at0": Place((3,), (6,), 0, 3), "at3": Place((3,), (6,), 3, 6)}
    ring = {**pair, "act": MultiLevelLIF.one_hot((3,), 3, 0.5, 0.5), "at6": Place((3,), (9,), 6, 9)}
    ring |= {"at0": Place((3,), (9,), 0, 3), "at3": Place((3,), (9,), 3, 6), "m": Product((9,), 3)}
    ring["rec"] = nir.Affine(weights(3, 3, seed=9) / 4, _signed(3))
    wide = Product((6, 2, 2), 3)
    return [
        Case("place", (Place,), lambda: line(Place((2, 3, 1), (5, 3, 4), 1, 3), shape=(2, 3, 1))),
        Case("place, one channel for many", (Place,), lambda: line(Place((1, 3), (5, 3), 0, 4), shape=(1, 3))),
        Case("product", (Place, Product), lambda: net(pair, "input p at0 m output", "input q at3 m", shape=(4,))),
        Case(
            "product of sums",
            (Place, Product),
            lambda: net(pair, "input p at0 m output", "input q at3 m", "q at0", shape=(4,)),
        ),
        Case("product, all factors at once", (Product,), lambda: line(_conv2d(2, 6, (1, 1)), wide, shape=(2, 2, 2))),
        Case(
            "product in a cycle",
            (Place, Product),
            lambda: net(ring, "input p at0 m act output", "input q at3 m", "act rec at6 m", shape=(4,)),
        ),
        Case("spike-driven attention", (Place, Product), _attention),
    ]


def _attention() -> Graph:
    """q ⊙ n(Σ_places k ⊙ v), with spikes q, k, v of two channels."""

    def act(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, 3, 0.5, 0.5, "value", ">", True, gain=0.5)

    whole = np.array([3, 4])
    nodes: dict[str, nir.NIRNode] = {}
    for index, name in enumerate("qkv"):
        nodes[name] = _conv2d(2, 2, (1, 1))
        nodes[name].weight = weights(2, 2, 1, 1, seed=20 + index)
        nodes[f"{name}.act"] = act(2, 3, 4)
    nodes |= {
        "k.at": Place((2, 3, 4), (4, 3, 4), 0, 2),
        "v.at": Place((2, 3, 4), (4, 3, 4), 2, 4),
        "kv": Product((4, 3, 4), 2),
        "sum": nir.SumPool2d(whole, whole, 0 * whole),
        "gate": act(2, 1, 1),
        "q.at": Place((2, 3, 4), (4, 3, 4), 0, 2),
        "gate.at": Place((2, 1, 1), (4, 3, 4), 2, 4),
        "qg": Product((4, 3, 4), 2),
    }
    paths = ("input k k.act k.at kv sum gate gate.at qg output", "input v v.act v.at kv", "input q q.act q.at qg")
    return net(nodes, *paths, shape=(2, 3, 4))


def _topology_cases() -> list[Case]:
    def act(*shape: int) -> MultiLevelLIF:
        return MultiLevelLIF.one_hot(shape, 3, 0.5, 0.5)

    residual = {
        "c1": _conv2d(2, 2, (3, 3), 1, 1, 1),
        "a1": act(2, 4, 4),
        "c2": _conv2d(2, 2, (3, 3), 1, 1, 1),
        "a2": act(2, 4, 4),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(weights(3, 32), _signed(3)),
    }
    deep = {name: nir.Affine(weights(4, 4, seed=i), _signed(4)) for i, name in enumerate("abcd")}
    recurrent = {
        "fc": nir.Linear(weights(4, 4)),
        "act": act(4),
        "rec": nir.Affine(weights(4, 4, seed=9) / 4, _signed(4)),
    }
    return [
        Case(
            "residual",
            (nir.Conv2d,),
            lambda: net(residual, "input c1 a1 c2 a2 flat fc output", "input a2", shape=(2, 4, 4)),
        ),
        Case(
            "skips of unequal depth",
            (nir.Affine,),
            lambda: net(deep, "input a b c d output", "a d", "input output", shape=(4,)),
        ),
        Case(
            "parallel paths",
            (nir.Affine,),
            lambda: net(deep, "input a b output", "input c d output", shape=(4,)),
        ),
        Case(
            "fan out",
            (nir.Affine,),
            lambda: net({**deep, "z": act(4)}, "input z a output", "z b output", "z c d output", shape=(4,)),
        ),
        Case("nested", (nir.NIRGraph,), _nested),
        Case("two in, two out", (nir.Input, nir.Output), _two_by_two),
        Case("recurrent", (MultiLevelLIF,), lambda: net(recurrent, "input fc act output", "act rec act", shape=(4,))),
        Case(
            "self loop",
            (nir.LIF,),
            lambda: net(
                {"z": nir.LIF(*(np.full(4, v) for v in (2.0**-9, 2.0, 0.0, 1.0)))}, "input z output", "z z", shape=(4,)
            ),
        ),
    ]


def _nested() -> Graph:
    inner = net(
        {"fc": nir.Affine(weights(5, 4), _signed(5)), "act": MultiLevelLIF.one_hot((5,), 2)},
        "input fc act output",
        shape=(4,),
    )
    return net({"block": inner, "fc": nir.Linear(weights(3, 5))}, "input block fc output", shape=(4,))


def _two_by_two() -> Graph:
    nodes = {
        "a": nir.Input(np.array([4])),
        "b": nir.Input(np.array([4])),
        "fa": nir.Linear(weights(5, 4)),
        "fb": nir.Affine(weights(5, 4, seed=8), _signed(5)),
        "act": MultiLevelLIF.one_hot((5,), 3),
        "spikes": nir.Output(None),
        "current": nir.Output(None),
    }
    edges = [("a", "fa"), ("b", "fb"), ("fa", "act"), ("fb", "act"), ("act", "spikes"), ("fb", "current")]
    return build_graph(nodes, edges)


CASES: tuple[Case, ...] = (
    *_synapse_cases(),
    *_neuron_cases(),
    *_multi_level_cases(),
    *_window_cases(),
    *_product_cases(),
    *_topology_cases(),
)
