"""What a node is lowered to, before it is placed in a process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class Cell:
    """One node's work.  All values are flat vectors in C order of the node's shape.

    Attributes:
        process: name of the Process class, and of the behaviour.
        parameters: what the behaviour needs.
        start: state before the first step, (rows, n); None for a node without state.
        steps: Lava steps that a process of its own adds, 1 for a synapse.
        bias: constant that every receiver adds to what this node sends, or None.
        takes_bias: whether the Process adds the biases of its senders itself.
        window: input steps that belong together.
    """

    process: str
    parameters: Any = None
    start: Array | None = None
    steps: int = 0
    bias: Array | None = None
    takes_bias: bool = True
    window: int = 1

    def fresh(self, samples: int) -> Array | None:
        """The starting state, (rows, samples, n)."""
        return None if self.start is None else np.repeat(self.start[:, None], samples, axis=1)
