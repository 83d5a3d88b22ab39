"""The three ways a node can live in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nirbridge.runtime import Array


class Stage:
    """A lowered node: [T, B, *in] → [T', B, *out], with whatever state it carries from call to call.

    Attributes:
        membranes: where a list, a neuron's membrane after each step is added to it.
        state: what it carries from call to call, by name; empty for nothing.
    """

    def __init__(self) -> None:
        self.membranes: list[Array] | None = None
        self.state: dict[str, Array] = {}

    def run(self, x: Array) -> Array:
        """The node's output for the next T steps."""
        raise NotImplementedError


class Stateless(Stage):
    """A node whose output at a step depends on that step alone; the function takes [N, *in]."""

    def __init__(self, function: Callable[[Array], Array]) -> None:
        super().__init__()
        self.function = function

    def run(self, x: Array) -> Array:
        """Folds time into the batch and unfolds it again."""
        steps, batch = x.shape[:2]
        y = self.function(x.reshape(steps * batch, *x.shape[2:]))
        return y.reshape(steps, batch, *y.shape[1:])


class Stepwise(Stage):
    """A node with states: ``step(x [B, *shape], states) -> (y, states)``; that called ``v`` can be recorded."""

    def __init__(
        self,
        step: Callable[[Array, tuple[Array, ...]], tuple[Array, tuple[Array, ...]]],
        state: dict[str, Array],
    ) -> None:
        super().__init__()
        self.step = step
        self.state = state

    def run(self, x: Array) -> Array:
        """One step after the other."""
        outputs = []
        for frame in x:
            y, after = self.step(frame, tuple(self.state.values()))
            self.state = dict(zip(self.state, after, strict=True))
            outputs.append(y)
            if self.membranes is not None:
                self.membranes.append(self.state["v"])
        return np.stack(outputs)


class Windowed(Stage):
    """A node that takes whole windows: ``function(frames) -> (sent, membranes)``, sequences of frames.

    Nothing is kept between windows; what has no state within them has None for membranes.
    """

    def __init__(self, window: int, function: Callable[[Any], tuple[Any, Sequence[Any] | None]]) -> None:
        super().__init__()
        self.window = window
        self.function = function

    def run(self, x: Array) -> Array:
        """One window after the other."""
        outputs = []
        for t in range(0, len(x), self.window):
            sent, v = self.function(x[t : t + self.window])
            outputs.append(np.stack(sent).astype(x.dtype))
            if self.membranes is not None and v is not None:
                self.membranes.extend(v)
        return np.concatenate(outputs)
