"""What a stage keeps between two calls, so that a small step costs no more than its arithmetic.

A tensor of up to 1 MB that a stage sends is the same memory at every call: whoever wants to keep it copies it.  A
larger one has memory that nobody else reads, of which that of one layer serves the next; what is larger than the
allocator keeps, later calls of the stage take again when nobody reads it any more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge_norse.fused.layout import Order

SMALL = 2**20
Array = NDArray[Any]


def is_small(x: Tensor) -> bool:
    """Whether it may be the same memory at the next call."""
    return x.nbytes <= SMALL


LEARNED = 2**25 - 2**16
"""Bytes just below the largest chunk that glibc learns from."""


def keep_pages() -> None:
    """Lets glibc keep up to 64 MiB of freed memory for what comes next, by freeing a large chunk that it did not keep.

    Else it gives the pages of each layer's sums back to the system, which clears others for the next layer: up to a
    third of the time of a network of large planes.  Other allocators do not care.
    """
    np.empty(LEARNED, np.uint8)


class Sent:
    """What one stage sends."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Order] | None = None
        self._large: list[Array] = []

    def new(self, shape: torch.Size | tuple[int, ...], dtype: torch.dtype, order: Order) -> Tensor:
        """Memory for the values of one call."""
        if self._last is not None:
            last, lies = self._last
            if last.shape == shape and last.dtype is dtype and lies == order:
                return last
        size = prod(shape) * dtype.itemsize
        if size > SMALL:
            return order.placed(self._memory(size), tuple(shape), dtype)
        found = order.placed(np.empty(size, np.uint8), tuple(shape), dtype)
        self._last = found, order
        return found

    def _memory(self, size: int) -> Array:
        """As many bytes; of more than the allocator keeps some that nobody reads, since new pages cost."""
        if size <= LEARNED:
            return np.empty(size, np.uint8)
        holders = zip(self._large, _holders(self._large), strict=True)
        fitting = next((array for array, count in holders if count <= _UNUSED and array.size == size), None)
        if fitting is None:
            fitting = np.empty(size, np.uint8)  # numpy asks for huge pages from 4 MiB on
            self._large = [*self._large, fitting][-KEPT:]
        return fitting


KEPT = 2
"""Large tensors of a stage: a caller may hold the result of one run while the next one goes on."""


def _holders(arrays: list[Array]) -> list[int]:
    """How many references there are to each, with those of the list and of this function."""
    return [sys.getrefcount(array) for array in arrays]


_UNUSED = _holders([np.empty(0, np.uint8)])[0]
"""For an array that only a list knows; versions of Python count differently."""


class Bound(NamedTuple):
    """Work bound to memory.  Small tensors stay the same, so that a later call only has to run it.

    Attributes:
        x: what enters.
        scratch: whether it may be overwritten.
        run: from ``x`` to ``y``.
        y: what is sent.
    """

    x: Tensor
    scratch: bool
    run: Callable[[], Any]
    y: Tensor

    def again(self) -> Bound | None:
        """What a stage keeps of it."""
        return self if is_small(self.x) and is_small(self.y) else None


def memory_to_fill(y: Tensor, order: Order) -> Array:
    """[T, B, ...] of numpy in that order, the tensor's own memory."""
    seen = order.seen(y)
    assert seen.flags.c_contiguous, "an output lies in another order than its stage writes"
    return seen


def memory_of(x: Tensor, order: Order) -> tuple[Array, bool]:
    """[T, B, ...] of numpy in that order, and whether it is the tensor's own memory or a copy."""
    seen = order.seen(x)
    return (seen, True) if seen.flags.c_contiguous else (np.ascontiguousarray(seen), False)
