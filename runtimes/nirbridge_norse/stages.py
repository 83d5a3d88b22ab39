"""The ways a node can live in time; each takes all steps at once, and none keeps what it was given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from nirbridge_norse.neurons.fused_snn import FusedSNN


class Stage(Protocol):
    """A lowered node.

    Attributes:
        view: whether its output may share memory with its input.
        in_place: whether it overwrites its input with its output, shape and dtype alike, where it may.
        membranes: where a list, a neuron adds its membrane [B, *shape] after each step to it.
    """

    view: bool
    in_place: bool
    membranes: list[Tensor] | None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """[T, B, *in] → [T', B, *out] for the next T steps; with ``scratch`` ``x`` may be overwritten."""
        ...

    def reset(self) -> None:
        """Puts the state back to its start."""
        ...


Kept = list[Tensor] | None
"""Where a function of windows puts its states, if anyone wants them."""


class Stateless:
    """A node whose output at a step depends on that step alone; the function takes [N, *in]."""

    in_place = False
    membranes: list[Tensor] | None = None

    def __init__(self, function: Callable[[Tensor], Tensor], view: bool = False) -> None:
        self.function = function
        self.view = view

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """Folds time into the batch, one call for all steps, and unfolds it again."""
        steps, batch, *shape = x.shape
        y = self.function(x.reshape(steps * batch, *shape))
        return y.reshape(steps, batch, *y.shape[1:])

    def reset(self) -> None:
        """There is no state."""


class Neuron:
    """A Norse module with its state."""

    view = False
    in_place = True

    def __init__(self, module: FusedSNN) -> None:
        self.module = module
        self.state: Any = None
        self.membranes: list[Tensor] | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """In place where that is allowed and the compiled pass applies; step by step where membranes are kept."""
        if self.membranes is None:
            return self._run(x, scratch)
        outputs = []
        for t in range(len(x)):
            outputs.append(self._run(x[t : t + 1], scratch=False))
            self.membranes.append(self.state.v.clone())
        return torch.cat(outputs)

    def _run(self, x: Tensor, scratch: bool) -> Tensor:
        if self.state is None:
            self.state = self.module.state_fallback(x[0].contiguous())
        if not self.module.can_fuse(x):
            x, self.state = self.module(x, self.state)
            return x
        x = x.contiguous() if scratch else x.clone(memory_format=torch.contiguous_format)
        self.module.run_in_place(x, self.state)
        return x

    def reset(self) -> None:
        """The next run starts from the fresh state."""
        self.state = None


class DelayLine:
    """y(t) = x(t - delay), each feature with its own delay in whole steps, 0 before the first input."""

    view = False
    in_place = False
    membranes: list[Tensor] | None = None

    def __init__(self, steps: Tensor) -> None:
        self.longest = int(steps.max())
        # Each delay with the features that have it; one delay for all needs no list of features.
        delays = [int(d) for d in steps.unique()]
        flat = steps.flatten()
        self.places = [(d, None if len(delays) == 1 else (flat == d).nonzero().flatten()) for d in delays]
        self.past: Tensor | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """Shifts each group of features by its delay."""
        if self.past is None:
            self.past = x.new_zeros(self.longest, *x.shape[1:])
        line = torch.cat([self.past, x])
        # A copy: a slice would keep the whole line alive.
        self.past = line[len(x) :].clone()
        first, _ = self.places[0]
        if self.places[0][1] is None:
            return line[self.longest - first :][: len(x)]
        y, flat = torch.empty_like(x).flatten(2), line.flatten(2)
        for delay, places in self.places:
            start = self.longest - delay
            y[:, :, places] = flat[start : start + len(x), :, places]
        return y.view_as(x)

    def reset(self) -> None:
        """Empties the line."""
        self.past = None


class Windowed:
    """A node that takes whole windows, with no state between them: [V, W, B, *in] → [V, W', B, *out]."""

    view = False
    in_place = False
    membranes: list[Tensor] | None = None

    def __init__(self, window: int, function: Callable[[Tensor], Tensor]) -> None:
        self.window = window
        self.function = function

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All V windows at once."""
        return self.function(x.unflatten(0, (-1, self.window))).flatten(0, 1)

    def reset(self) -> None:
        """There is no state."""


class WindowedNeuron:
    """The same with a state within the window; ``function`` gives it, [V, B, *in] after each step, where wanted."""

    view = False
    in_place = False

    def __init__(self, window: int, function: Callable[[Tensor, Kept], Tensor]) -> None:
        self.window = window
        self.function = function
        self.membranes: list[Tensor] | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All V windows at once."""
        kept: Kept = None if self.membranes is None else []
        y = self.function(x.unflatten(0, (-1, self.window)), kept).flatten(0, 1)
        if kept is not None and self.membranes is not None:
            self.membranes += torch.stack(kept, 1).flatten(0, 1).unbind(0)
        return y

    def reset(self) -> None:
        """No state outlives a window."""
