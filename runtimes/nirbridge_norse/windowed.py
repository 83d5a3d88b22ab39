"""The ways in which a node takes whole windows of steps at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from nirbridge_norse.stages import Stage

Kept = list[Tensor] | None
"""Where a function of windows puts its states, if anyone wants them."""


class Windowed(Stage):
    """A node that takes whole windows, with no state between them: [V, W, B, *in] → [V, W', B, *out]."""

    library = True

    def __init__(self, window: int, function: Callable[[Tensor], Tensor]) -> None:
        self.window = window
        self.function = function

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All V windows at once."""
        return self.function(x.unflatten(0, (-1, self.window))).flatten(0, 1)


class WindowedNeuron(Stage):
    """The same with a state within the window; ``function`` gives it, [V, B, *in] after each step, where wanted."""

    library = True

    def __init__(
        self, window: int, function: Callable[[Tensor, Kept], Tensor], sends: torch.dtype | None = None
    ) -> None:
        self.window = window
        self.function = function
        self.sends = sends
        self.membranes: list[Tensor] | None = None

    def run(self, x: Tensor, scratch: bool) -> Tensor:
        """All V windows at once."""
        kept: Kept = None if self.membranes is None else []
        y = self.function(x.unflatten(0, (-1, self.window)), kept).flatten(0, 1)
        if kept is not None and self.membranes is not None:
            self.membranes += torch.stack(kept, 1).flatten(0, 1).unbind(0)
        return y if self.sends is None else y.to(self.sends)

    def send(self, dtype: torch.dtype | None) -> None:
        """Changes the dtype of what it sends from the next call on; by default it is that of what enters."""
        self.sends = dtype

    def again(self) -> Stage:
        """Another one."""
        return WindowedNeuron(self.window, self.function, self.sends)
