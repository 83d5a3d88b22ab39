"""Graphs of integers for precision "fixed": every primitive's own, and some that are there for their wiring."""

from __future__ import annotations

import itertools
from dataclasses import replace

import nir
import numpy as np

from nirbridge.conformance import cases
from nirbridge.conformance.cases import Array, Case, Graph, case_of, net
from nirbridge.ir import MultiLevelLIF, Place, Product, all_specs, build_graph
from nirbridge.primitives import BUILT_IN
from nirbridge.primitives.examples import INTEGER_DT, Example, whole_numbers
from nirbridge.primitives.multi_level_lif import integer_lanes


def data(case: Case, high: int = 7) -> dict[str, Array]:
    """[T, B, *shape] of small integers for every input of the case."""
    return cases.data(case, lambda shape, seed: np.random.default_rng(seed).integers(-2, high, shape).astype(float))


def _act() -> MultiLevelLIF:
    return integer_lanes(MultiLevelLIF.one_hot((4,), 3, 40, 0.5))


def _topologies() -> list[Case]:
    first, second = nir.Linear(whole_numbers(4, 4)), nir.Linear(whole_numbers(4, 4, seed=6))
    back = nir.Affine(whole_numbers(4, 4, seed=9), whole_numbers(4))
    gate = {
        "p": first,
        "a": _act(),
        "p.at": Place((4,), (8,), 0, 4),
        "q": second,
        "b": _act(),
        "q.at": Place((4,), (8,), 4, 8),
        "m": Product((8,), 2),
        "fc": nir.Affine(whole_numbers(3, 4), whole_numbers(3)),
    }
    residual = {"a": first, "b": _act(), "c": second, "s": nir.Scale(np.array(4)), "d": _act()}
    recurrent, lanes = {"fc": first, "act": _act(), "rec": back}, (MultiLevelLIF,)
    examples = [
        Example("recurrent", lanes, recurrent, ("input fc act output", "act rec act"), (4,)),
        Example("residual", lanes, residual, ("input a b c d output", "b s d"), (4,)),
        Example("gate", (Place, Product), gate, ("input p a p.at m fc output", "input q b q.at m"), (4,)),
    ]
    found = [case_of(replace(example, dt=INTEGER_DT)) for example in examples]
    return [*found, Case("nested", (nir.NIRGraph,), _nested, dt=INTEGER_DT)]


def _nested() -> Graph:
    fc = nir.Affine(whole_numbers(4, 4), whole_numbers(4))
    inner = net({"fc": fc, "act": _act()}, "input fc act output", shape=(4,))
    last = nir.Linear(whole_numbers(3, 4))
    nodes = {"input": nir.Input(np.array([4])), "block": inner, "fc": last, "out": nir.Output(None)}
    return build_graph(nodes, list(itertools.pairwise(nodes)))


TOPOLOGIES = tuple(_topologies())
INTEGER_CASES: tuple[Case, ...] = (
    *(case_of(e) for spec in BUILT_IN for e in spec.integer_examples()),
    *TOPOLOGIES,
)
"""Those of nirbridge's own primitives."""


def all_cases() -> tuple[Case, ...]:
    """With those of primitives that installed packages register."""
    return (*(case_of(e) for spec in all_specs() for e in spec.integer_examples()), *TOPOLOGIES)
