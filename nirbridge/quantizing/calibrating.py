"""Runs the graph on data, to see what its integers must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nir
import numpy as np

from nirbridge.ir import PhaseIF, flatten, spec_of
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge.primitives.phase_tables import fire_tables
from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import MESSAGE_LIMIT
from nirbridge.runtime import MEMBRANE, compile, make_plan, runtimes

FAST, SLOW = "norse", "reference"
_TOGETHER = 64
"""Samples that run at a time, or fewer where the network is large."""


@dataclass
class StateRange:
    """What one neuron's states reached.

    Attributes:
        places: [*shape], magnitudes that unlimited states reach.
        saturated: states at the end of their 24 bits.
    """

    places: Array
    saturated: int = 0

    @property
    def largest(self) -> float:
        """Of all places."""
        return float(self.places.max(initial=0.0))


def fast_runtime() -> str:
    """The runtime on which a graph is seen at work."""
    return FAST if runtimes()[FAST].usable else SLOW


def input_scale(x: Array) -> float:
    """1 for integers, else the largest power of two that divides all data, or the one at which they fit 8 bits.

    Bits that the data do not have would be lost by the weights behind them, where sums have to fit 24 bits.
    """
    if (x == np.rint(x)).all() and np.abs(x).max() <= STATE_LIMIT:
        return 1.0
    finest = int(np.ceil(np.log2(np.abs(x).max() / MESSAGE_LIMIT)))
    exact = (e for e in range(-1, finest, -1) if (np.ldexp(x, -e) == np.rint(np.ldexp(x, -e))).all())
    return float(2.0 ** next(exact, finest))


def state_ranges(graph: nir.NIRGraph, x: Mapping[str, Array], dt: float) -> dict[str, StateRange]:
    """What the states of every neuron reach: runs a graph of integers in floating point, where none meets an end."""
    flat = flatten(graph)
    plan = make_plan(flat, dt)
    neurons = [planned.name for planned in plan.nodes if spec_of(planned.node).has_membrane]
    units = {name: _units(plan[name].node) for name in neurons}
    found = {name: StateRange(np.zeros(plan[name].output_shape)) for name in neurons}
    if not neurons:
        return found
    name = fast_runtime()
    options = {"dtype": "float64"} if name == FAST else {}
    with compile(flat, name, dt=dt, precision="float", **options) as program:
        membranes = [neuron + MEMBRANE for neuron in neurons]
        for _, recording in program.run_in_parts(x, _TOGETHER, membranes):
            for neuron in neurons:
                states = np.abs(recording.records[neuron + MEMBRANE]) * units[neuron]
                found[neuron].places = np.maximum(found[neuron].places, states.max(axis=(0, 1)))
                found[neuron].saturated += int((states >= STATE_LIMIT).sum())
    return found


def _units(node: nir.NIRNode) -> int:
    """Units of the integer state in one unit of the membrane that floating point records."""
    return 2 ** fire_tables(node).fraction if type(node) is PhaseIF else 1
