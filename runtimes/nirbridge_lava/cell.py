"""What a node is lowered to, before it is placed in a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Behaviour = Callable[["Cell", Array, Any, "list[Array] | None"], tuple[Array, Any]]
"""(cell, x (T, samples, n), state, membranes) → (y (T', samples, n'), new state).

``membranes``, where it is a list, is given the membrane after each step.
"""


@dataclass(frozen=True)
class Cell:
    """One node's work.  All values are flat vectors in C order of the node's shape.

    A Lava Process of its own and a process that holds the whole graph do the same with it, so a node means the same in
    both.

    Attributes:
        process: name of the Process class.
        behave: what it does with the steps that it gets; None for what only moves frames.
        parameters: what ``behave`` needs.
        start: state before the first step, (rows, n); None for a node without state.
        membrane: the row of the state that is the membrane.
        steps: Lava steps that a process of its own adds, 1 for a synapse.
        bias: constant that every receiver adds to what this node sends, or None.
        takes_bias: whether the Process adds the biases of its senders itself.
        window: input steps that belong together.
    """

    process: str
    behave: Behaviour | None = None
    parameters: Any = None
    start: Array | None = None
    membrane: int = -1
    steps: int = 0
    bias: Array | None = None
    takes_bias: bool = True
    window: int = 1

    def fresh(self, samples: int) -> Array | None:
        """The starting state, (rows, samples, n)."""
        return None if self.start is None else np.repeat(self.start[:, None], samples, axis=1)
