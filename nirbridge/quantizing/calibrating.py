"""Runs the graph on data, to see what its integers must hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.checking.fixed_point import STATE_LIMIT
from nirbridge.quantizing.scales import MESSAGE_LIMIT
from nirbridge.runtime import MEMBRANE, Plan, compile, make_plan, runtimes
from nirbridge.runtime.program import WITH_MEMBRANE

Array = NDArray[Any]
FAST, SLOW = "norse", "reference"
CHUNK = 64
"""Samples that run at a time, so that the membranes of a large network fit the memory."""


@dataclass
class StateRange:
    """What one neuron's states reached.

    Attributes:
        largest: magnitude that an unlimited state reaches.
        saturated: states at the end of their 24 bits.
    """

    largest: float = 0.0
    saturated: int = 0


@dataclass
class Ranges:
    """Of every neuron by name."""

    states: dict[str, StateRange] = field(default_factory=dict)


def input_scale(x: Array) -> float:
    """1 for data that are integers, else the power of two at which they fit 8 bits."""
    if (x == np.rint(x)).all():
        return 1.0
    return float(2.0 ** np.ceil(np.log2(np.abs(x).max() / MESSAGE_LIMIT)))


def state_ranges(graph: nir.NIRGraph, x: Mapping[str, Array], dt: float) -> Ranges:
    """Runs a graph of integers on integers, in floating point, where no state meets an end."""
    plan = make_plan(graph, dt)
    neurons = [planned.name for planned in plan.nodes if type(planned.node) in WITH_MEMBRANE]
    found = Ranges({name: StateRange() for name in neurons})
    if not neurons:
        return found
    name = FAST if runtimes()[FAST].usable else SLOW
    options = {"dtype": "float64"} if name == FAST else {}
    with compile(graph, name, dt=dt, precision="float", **options) as program:
        for part in _chunks(x, plan):
            records = program.run(part, record=[neuron + MEMBRANE for neuron in neurons]).records
            for neuron in neurons:
                states = np.abs(records[neuron + MEMBRANE])
                found.states[neuron].largest = max(found.states[neuron].largest, float(states.max()))
                found.states[neuron].saturated += int((states >= STATE_LIMIT).sum())
    return found


def _chunks(x: Mapping[str, Array], plan: Plan) -> Iterator[dict[str, Array]]:
    samples = next(iter(x.values())).shape[1]
    for first in range(0, samples, CHUNK):
        yield {name: array[:, first : first + CHUNK] for name, array in x.items()}
