"""What a node is lowered to, before it is known where it runs, and the ways in which it lives in time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nirbridge.runtime import Array

Behaviour = Callable[["Cell", Array, Any], tuple[Array, Any]]
"""(cell, x (T, samples, n), state) → (y (T', samples, n'), new state)."""


@dataclass(frozen=True)
class Cell:
    """One node's work.  All values are flat vectors in C order of the node's shape.

    Attributes:
        process: name of the Process class.
        behave: what it does with the steps that it gets; None for a cycle, whose cells are in its parameters.
        parameters: what ``behave`` needs.
        start: state before the first step, (rows, n); None for no state, and of a cycle one for each name.
        membrane: the rows of the state that are the membrane, one for each step of a window.
        latency: Lava steps by which a process of its own is late: 1 for a synapse.
        bias: constant that every receiver adds to what this node sends, or None.
        window: input steps that belong together.
    """

    process: str
    behave: Behaviour | None
    parameters: Any = None
    start: Any = None
    membrane: slice = field(default_factory=lambda: slice(-1, None))  # before Python 3.12 slices have no hash
    latency: int = 0
    bias: Array | None = None
    window: int = 1

    def fresh(self, samples: int) -> Any:
        """The starting state, (rows, samples, n)."""
        return _fresh(self.start, samples)


def _fresh(start: Any, samples: int) -> Any:
    if isinstance(start, dict):
        return {name: _fresh(value, samples) for name, value in start.items()}
    return None if start is None else np.repeat(start[:, None], samples, axis=1)


def same(cell: Cell, x: Array, state: Any) -> tuple[Array, Any]:
    """What comes in goes out."""
    return x, state


def pointwise(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node whose output at a step depends on that step alone."""

    def behave(cell: Cell, x: Array, state: Any) -> tuple[Array, Any]:
        return function(cell.parameters, x), state

    return behave


def stepwise(step: Callable[[Any, Array, Array], tuple[Array, Array]]) -> Behaviour:
    """A node with a state, one step after the other."""

    def behave(cell: Cell, x: Array, state: Any) -> tuple[Array, Any]:
        sent = []
        for frame in x:
            y, state = step(cell.parameters, frame, state)
            sent.append(y)
        # One step at a time is how data stream, and stacking one array costs as much as the step.
        return (y[None] if len(sent) == 1 else np.stack(sent)), state

    return behave


def windowed(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node that takes whole windows and keeps nothing between them."""
    return windowed_neuron(lambda parameters, x: (function(parameters, x), None))


def windowed_neuron(function: Callable[[Any, Array], tuple[Array, Any]]) -> Behaviour:
    """The same with a state within the window: the function gives the membranes at its steps."""

    def behave(cell: Cell, x: Array, state: Any) -> tuple[Array, Any]:
        sent = []
        for t in range(0, len(x), cell.window):
            y, state = function(cell.parameters, x[t : t + cell.window])
            sent.append(y)
        return np.concatenate(sent), state

    return behave
