"""One small graph for every node type and variant, with data on which every runtime must be exact.

Each primitive brings its own in its Spec; graphs that are there for their wiring stand here.  Weights, parameters and
data are dyadic with few bits, so single precision holds every intermediate value exactly and "equal" means equal.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import MultiLevelLIF, all_specs, build_graph, is_input
from nirbridge.primitives import BUILT_IN
from nirbridge.primitives.convolution import example as convolution
from nirbridge.primitives.examples import DYADIC_DT, STEPS, Example, dyadic, signed, weights

Graph: TypeAlias = nir.NIRGraph
Array: TypeAlias = NDArray[Any]
BATCH = 3


@dataclass(frozen=True)
class Case:
    """A graph and the shape of its input.

    Attributes:
        name: for the test's name.
        kinds: the node types it is there for.
        graph: makes it.
        steps: T of the data.
        dt: seconds per step; dyadic fractions of the time constants keep Euler steps exact.
    """

    name: str
    kinds: tuple[type[nir.NIRNode], ...]
    graph: Callable[[], Graph]
    steps: int = STEPS
    dt: float = DYADIC_DT


def case_of(example: Example) -> Case:
    """The case that a primitive gives as an example."""
    return Case(example.name, example.kinds, lambda: graph_of(example), example.steps, example.dt)


def graph_of(example: Example) -> Graph:
    """Its nodes between an input and an output, joined along its paths."""
    entry = nir.Input(np.array(example.shape)) if example.entry is None else example.entry
    named = {"input": entry, **example.nodes, "output": nir.Output(None)}
    edges = [pair for path in example.paths for pair in itertools.pairwise(path.split())]
    return build_graph(named, edges)


def line(*nodes: nir.NIRNode, shape: tuple[int, ...]) -> Graph:
    """input → n0 → n1 → ... → output."""
    named = {f"n{index}": node for index, node in enumerate(nodes)}
    return net(named, " ".join(("input", *named, "output")), shape=shape)


def net(nodes: dict[str, nir.NIRNode], *paths: str, shape: tuple[int, ...]) -> Graph:
    """A graph from paths such as ``"input a b output"``."""
    return graph_of(Example("", (), nodes, paths, shape))


def data(case: Case, make: Callable[[tuple[int, ...], int], Array] | None = None) -> dict[str, Array]:
    """[T, B, *shape] for every input of the case, by ``make`` from shape and seed, else in halves."""
    found = {}
    for index, (name, node) in enumerate(case.graph().nodes.items()):
        if is_input(node):
            shape = (case.steps, BATCH, *(int(n) for n in node.output_type["output"]))
            found[name] = make(shape, 100 + index) if make else dyadic(shape, -2, 7, 0.5, 100 + index)
    return found


def _act(*shape: int) -> MultiLevelLIF:
    return MultiLevelLIF.one_hot(shape, 3, 0.5, 0.5)


def _topologies() -> list[Case]:
    residual = {
        "c1": convolution(2, 2, (3, 3), 1, 1, 1),
        "a1": _act(2, 4, 4),
        "c2": convolution(2, 2, (3, 3), 1, 1, 1),
        "a2": _act(2, 4, 4),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(weights(3, 32), signed(3)),
    }
    deep = {name: nir.Affine(weights(4, 4, seed=i), signed(4)) for i, name in enumerate("abcd")}
    fanning = {**deep, "z": _act(4)}
    recurrent = {
        "fc": nir.Linear(weights(4, 4)),
        "act": _act(4),
        "rec": nir.Affine(weights(4, 4, seed=9) / 4, signed(4)),
    }
    self_loop = {"z": nir.LIF(*(np.full(4, v) for v in (2.0**-9, 2.0, 0.0, 1.0)))}
    affine = (nir.Affine,)
    examples = [
        Example("residual", (nir.Conv2d,), residual, ("input c1 a1 c2 a2 flat fc output", "input a2"), (2, 4, 4)),
        Example("skips of unequal depth", affine, deep, ("input a b c d output", "a d", "input output"), (4,)),
        Example("parallel paths", affine, deep, ("input a b output", "input c d output"), (4,)),
        Example("fan out", affine, fanning, ("input z a output", "z b output", "z c d output"), (4,)),
        Example("recurrent", (MultiLevelLIF,), recurrent, ("input fc act output", "act rec act"), (4,)),
        Example("self loop", (nir.LIF,), self_loop, ("input z output", "z z"), (4,)),
    ]
    return [
        *map(case_of, examples),
        Case("nested", (nir.NIRGraph,), _nested),
        Case("two in, two out", (nir.Input, nir.Output), _two_by_two),
    ]


def _nested() -> Graph:
    inner = net(
        {"fc": nir.Affine(weights(5, 4), signed(5)), "act": MultiLevelLIF.one_hot((5,), 2)},
        "input fc act output",
        shape=(4,),
    )
    return net({"block": inner, "fc": nir.Linear(weights(3, 5))}, "input block fc output", shape=(4,))


def _two_by_two() -> Graph:
    nodes = {
        "a": nir.Input(np.array([4])),
        "b": nir.Input(np.array([4])),
        "fa": nir.Linear(weights(5, 4)),
        "fb": nir.Affine(weights(5, 4, seed=8), signed(5)),
        "act": _act(5),
        "spikes": nir.Output(None),
        "current": nir.Output(None),
    }
    edges = [("a", "fa"), ("b", "fb"), ("fa", "act"), ("fb", "act"), ("act", "spikes"), ("fb", "current")]
    return build_graph(nodes, edges)


TOPOLOGIES = tuple(_topologies())
CASES: tuple[Case, ...] = (*(case_of(e) for spec in BUILT_IN for e in spec.examples()), *TOPOLOGIES)
"""Those of nirbridge's own primitives."""


def all_cases() -> tuple[Case, ...]:
    """With those of primitives that installed packages register."""
    return (*(case_of(e) for spec in all_specs() for e in spec.examples()), *TOPOLOGIES)
