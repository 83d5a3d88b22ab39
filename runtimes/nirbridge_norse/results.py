"""What a run gives back, filled block by block, so that no block is copied twice and none is kept."""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

LARGE = 2**20
"""Numbers; numpy asks for huge pages from 4 MiB on."""


class Results:
    """Whole tensors by name.

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

    def place(self, name: str, like: Tensor) -> Tensor:
        """Where the block's values of a result belong, which are ``like`` this tensor [T', B, *shape]."""
        first, last = self._block
        if last - first == self.steps:
            return new_tensor(tuple(like.shape), like)
        if name not in self.whole:
            length = len(like) * self.steps // (last - first)
            self.whole[name] = new_tensor((length, *like.shape[1:]), like)
        start = len(like) * first // (last - first)
        return self.whole[name][start : start + len(like)].view_as(like)

    def put(self, name: str, value: Tensor) -> None:
        """Takes the block's values of a result; copies them unless they are in their place, or the only block."""
        if self._block == (0, self.steps):
            self.whole[name] = value
            return
        place = self.place(name, value)
        if place.data_ptr() != value.data_ptr():
            place.copy_(value)
        # What made it may have had another shape than the view of it that is the result.
        self.whole[name] = self.whole[name].view(len(self.whole[name]), *value.shape[1:])


def new_tensor(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """An empty tensor; a large one by numpy, which asks for huge pages: each first touch of a small page costs."""
    if like.device.type != "cpu" or prod(shape) < LARGE:
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, dtype=str(like.dtype).removeprefix("torch.")))
