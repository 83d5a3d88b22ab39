"""How the neurons of a batch are cut into chunks, and parameters laid out beside them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

CHUNK = 1024
"""Neurons in a chunk: with data, state and five parameters in float32 it fills 28 KiB, under a first-level cache."""


@dataclass(frozen=True)
class Layout:
    """Where the B·F neurons of a batch stand in memory.

    Attributes:
        features: shape of one sample.
        repeat: copies of a sample's parameters that stand behind each other, so that small samples fill a chunk.
        chunks: (C, 4) int64: first neuron, neuron after the last, first parameter, group.
    """

    features: tuple[int, ...]
    repeat: int
    chunks: NDArray[np.int64]

    def parameters(self, values: Tensor) -> NDArray[Any]:
        """``values``, broadcast to the features and repeated, as one vector."""
        return np.tile(np.broadcast_to(values.numpy(), self.features).ravel(), self.repeat)


def make_layout(features: tuple[int, ...], batch: int, group: NDArray[Any] | None = None) -> Layout:
    """The layout of ``batch`` samples; with ``group`` no chunk holds neurons of two groups."""
    size = prod(features)
    repeat = max(1, min(batch, CHUNK // size))
    period, total = repeat * size, batch * size
    starts = np.arange(0, period, CHUNK)
    groups = np.zeros(period, dtype=np.int64)
    if group is not None:
        groups = np.tile(np.broadcast_to(group, features).ravel(), repeat)
        starts = np.union1d(starts, np.flatnonzero(np.diff(groups)) + 1)
    ends = np.append(starts[1:], period)
    first = (np.arange(0, total, period)[:, None] + starts).ravel()
    last = np.minimum((np.arange(0, total, period)[:, None] + ends).ravel(), total)
    offset = np.tile(starts, len(first) // len(starts))
    chunks = np.stack([first, last, offset, groups[offset]], axis=1).astype(np.int64)
    return Layout(features, repeat, np.ascontiguousarray(chunks[first < last]))
