"""What a run gives back, filled block by block, so that no block is copied twice and none is kept."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nirbridge_norse.memory import is_small


class Results:
    """Whole tensors by name, each as its shape says in memory.

    Args:
        steps: input steps of the run.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.whole: dict[str, Tensor] = {}
        self._block = (0, steps)

    def enter(self, first: int, last: int) -> None:
        """The block of the input steps ``first`` to before ``last`` comes next."""
        self._block = (first, last)

    def put(self, name: str, value: Tensor) -> None:
        """Takes the block's values [T', B, *shape] of a result; the only block's, if large, without a copy."""
        first, last = self._block
        if last - first == self.steps:
            straight = value.contiguous()
            self.whole[name] = straight.clone() if straight is value and is_small(value) else straight
            return
        if name not in self.whole:
            shape = (len(value) * self.steps // (last - first), *value.shape[1:])
            # numpy asks for huge pages: each first touch of a small page costs.
            whole = np.empty(shape, str(value.dtype).removeprefix("torch."))
            self.whole[name] = torch.from_numpy(whole).to(value.device)
        start = len(value) * first // (last - first)
        self.whole[name][start : start + len(value)].copy_(value)
