"""How the neurons of a batch lie in memory, how they are cut into chunks, and parameters laid out beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 1024
"""Neurons in a chunk: with data, state and five parameters in float32 it fills 28 KiB, under a first-level cache."""
NEVER = 256
"""Spikes left in a window that no neuron has: they are counted in bytes."""


@dataclass(frozen=True)
class Order:
    """How the features of a sample follow each other in memory.

    Attributes:
        features: shape of one sample.
        channels_last: whether the features [C, H, W] lie as [H, W, C]; else as their shape says.
    """

    features: tuple[int, ...]
    channels_last: bool = False

    def laid_out(self, values: Tensor) -> NDArray[Any]:
        """``values``, broadcast to the features, as one vector."""
        whole = np.broadcast_to(values.numpy(), self.features)
        return (np.moveaxis(whole, 0, -1) if self.channels_last else whole).ravel()

    def period(self, values: Iterable[Tensor]) -> int:
        """After how many neurons all of ``values`` repeat in memory: 1, the channels, or all features."""
        shapes = {(1,) * (len(self.features) - value.ndim) + _shape_of(value) for value in values}
        if all(prod(shape) == 1 for shape in shapes):
            return 1
        if self.channels_last and all(shape[1:] == (1, 1) for shape in shapes):
            return self.features[0]
        return prod(self.features)

    def seen(self, x: Tensor) -> NDArray[Any]:
        """[..., *features] with its axes in this order, of the same memory."""
        whole: NDArray[Any] = x.numpy()
        return whole.transpose(*range(whole.ndim - 3), -2, -1, -3) if self.channels_last else whole

    def flat(self, x: Tensor) -> NDArray[Any]:
        """The memory of [B, *features], which lies in this order, as one vector."""
        return self.seen(x).reshape(-1)

    def dense(self, x: Tensor) -> Tensor:
        """[..., *features] in this order; ``x`` itself where it lies so already."""
        return x.movedim(-3, -1).contiguous().movedim(-1, -3) if self.channels_last else x.contiguous()

    def new(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """An empty tensor [..., *features] in this order."""
        return self.placed(np.empty(prod(shape) * dtype.itemsize, np.uint8), shape, dtype)

    def placed(self, memory: NDArray[np.uint8], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """A tensor [..., *features] in this order in the memory given."""
        flat = torch.from_numpy(memory).view(dtype)
        if self.channels_last:
            *outer, channels, height, width = shape
            return flat.view(*outer, height, width, channels).movedim(-1, -3)
        return flat.view(shape)


def _shape_of(values: Tensor) -> tuple[int, ...]:
    """Of one number that stands everywhere, one place."""
    same = values.numel() and bool((values == values.flatten()[0]).all())
    return (1,) * values.ndim if same else tuple(values.shape)


def order_of(x: Tensor) -> Order:
    """That of [T, B, *features]; one that is neither counts as what its shape says."""
    features = tuple(x.shape[2:])
    last = len(features) == 3 and not x.is_contiguous() and x.movedim(-3, -1).is_contiguous()
    return Order(features, last)


@dataclass(frozen=True)
class Layout:
    """Where the B·F neurons of a batch stand in memory.

    Attributes:
        order: of the features.
        period: neurons after which parameters repeat.
        repeat: copies of a period that stand behind each other, so that short ones fill a chunk.
        chunks: (C, 4) int64: first neuron, neuron after the last, first parameter, group.
    """

    order: Order
    period: int
    repeat: int
    chunks: NDArray[np.int64]

    def parameters(self, values: Tensor) -> NDArray[Any]:
        """``values``, broadcast to a period and repeated, as one vector."""
        return np.tile(self.order.laid_out(values)[: self.period], self.repeat)


def make_layout(order: Order, batch: int, values: Sequence[Tensor], group: Tensor | None = None) -> Layout:
    """The layout of ``batch`` samples.

    Args:
        order: of their features.
        batch: samples.
        values: all parameters that will be laid out.
        group: of each feature; then no chunk holds neurons of two groups.
    """
    size = order.period([*values, *([] if group is None else [group])])
    total = batch * prod(order.features)
    repeat = max(1, min(total, CHUNK) // size)
    period = repeat * size
    starts = np.arange(0, period, CHUNK)
    groups = np.zeros(period, dtype=np.int64)
    if group is not None:
        groups = np.tile(order.laid_out(group)[:size], repeat)
        starts = np.union1d(starts, np.flatnonzero(np.diff(groups)) + 1)
    ends = np.append(starts[1:], period)
    first = (np.arange(0, total, period)[:, None] + starts).ravel()
    last = np.minimum((np.arange(0, total, period)[:, None] + ends).ravel(), total)
    offset = np.tile(starts, len(first) // len(starts))
    chunks = np.stack([first, last, offset, groups[offset]], axis=1).astype(np.int64)
    return Layout(order, size, repeat, np.ascontiguousarray(chunks[first < last]))
