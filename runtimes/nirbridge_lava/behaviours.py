"""The ways in which a cell lives in time; each makes a behaviour of a function of vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nirbridge_lava.cell import Array, Behaviour, Cell


def pointwise(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node whose output at a step depends on that step alone."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        return function(cell.parameters, x), state

    return behave


def stepwise(step: Callable[[Any, Array, Array], tuple[Array, Array]]) -> Behaviour:
    """A node with a state, one step after the other."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        sent = []
        for frame in x:
            y, state = step(cell.parameters, frame, state)
            sent.append(y)
            if membranes is not None:
                membranes.append(state[cell.membrane])
        # One step at a time is how data stream, and stacking one array costs as much as the step.
        return (y[None] if len(sent) == 1 else np.stack(sent)), state

    return behave


def windowed(function: Callable[[Any, Array], Array]) -> Behaviour:
    """A node that takes whole windows and keeps nothing between them."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        ends = range(0, len(x), cell.window)
        return np.concatenate([function(cell.parameters, x[t : t + cell.window]) for t in ends]), state

    return behave


def windowed_neuron(function: Callable[[Any, Array], tuple[Array, Array]]) -> Behaviour:
    """The same with a state within the window, which the function gives for each of its steps."""

    def behave(cell: Cell, x: Array, state: Any, membranes: list[Array] | None) -> tuple[Array, Any]:
        found = [function(cell.parameters, x[t : t + cell.window]) for t in range(0, len(x), cell.window)]
        if membranes is not None:
            membranes += [v for _, states in found for v in states]
        return np.concatenate([y for y, _ in found]), state

    return behave
