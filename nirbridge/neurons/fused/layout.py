"""How the neurons of a batch are cut into chunks that share parameters, and the chunks shared out to threads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nirbridge.threads import in_parts

Array = NDArray[Any]
CHUNK_BYTES = 1 << 13
"""The widest row of a chunk: a few of them fit the first-level cache; shorter ones feel the calls of loops."""
STEPS_BYTES = 1 << 17
"""What one row of all steps of a chunk may take; a few of them fit the second-level cache."""
SHORTEST_ROW = 64
_WORTH_A_THREAD = 1 << 17
_PARTS_A_THREAD = 4


@dataclass(frozen=True)
class Layout:
    """Where the neurons of [T, B, *features] stand in [T, N], and which share parameters.

    Parameters that differ in the first k feature axes make prod(features[:k]) groups; the neurons of a group stand
    side by side. Where only few do, the batch becomes the last axis, so that they are as many times more.

    Attributes:
        shape: [T, B, *features].
        groups: the feature axes by which parameters differ; () where each is one number.
        batch_last: whether rows are laid out [*features, B].
        parts: chunks (first, last, group), in as many parts as are handed out.
        threads: how many take parts.
        run: neurons side by side that share parameters.
    """

    shape: tuple[int, ...]
    groups: tuple[int, ...]
    batch_last: bool
    parts: tuple[Array, ...]
    threads: int
    run: int

    @classmethod
    def of(cls, x: Tensor, parameters: tuple[Tensor, ...]) -> Layout:
        """For ``x`` [T, B, *features] and parameters that broadcast to the features."""
        differing = differing_axes(tuple(x.shape[2:]), parameters)
        return _layout(tuple(x.shape), differing, x.element_size(), torch.get_num_threads())

    def rows(self, tensor: Tensor) -> Tensor:
        """[T, B, *features] as contiguous rows [T, N]."""
        moved = tensor.movedim(1, -1) if self.batch_last else tensor
        return moved.reshape(self.shape[0], -1).contiguous()

    def unrolled(self, rows: Tensor) -> Tensor:
        """Rows [T, N] as [T, B, *features]."""
        if not self.batch_last:
            return rows.view(self.shape)
        return rows.view(self.shape[0], *self.shape[2:], self.shape[1]).movedim(-1, 1)

    def spread(self, parameter: Tensor | float, dtype: Any) -> Array:
        """One number for each group; not to be written to."""
        if not isinstance(parameter, Tensor) or parameter.numel() == 1:
            value = float(parameter)
            return np.full(prod(self.groups), value, dtype) if self.groups else _single(value, dtype)
        values = parameter.detach()
        trailing = len(self.shape) - 2 - len(self.groups)
        values = values.reshape((1,) * (len(self.shape) - 2 - values.ndim) + tuple(values.shape))
        values = values.reshape(values.shape[: len(values.shape) - trailing])
        return np.ascontiguousarray(values.expand(self.groups).reshape(-1).numpy(), dtype)

    def gathered(self, sums: Array, parameter: Tensor) -> Tensor:
        """Sums by group, summed to the shape of ``parameter``, in its dtype."""
        total = torch.from_numpy(sums).to(parameter.dtype)
        if parameter.numel() == 1:
            return total.sum().reshape(parameter.shape)
        ones = (1,) * (len(self.shape) - 2 - len(self.groups))
        return total.reshape(*self.groups, *ones).sum_to_size(parameter.shape)

    def shared_out(self, work: Callable[[int, Array], None]) -> None:
        """Calls ``work(part, chunks)`` with the number and the chunks of each part, at once on several threads."""
        in_parts(len(self.parts), lambda part: work(part, self.parts[part]), self.threads)


def differing_axes(features: tuple[int, ...], parameters: tuple[Tensor, ...]) -> int:
    """In how many of the first feature axes parameters differ."""
    differing = 0
    for parameter in parameters:
        if parameter.numel() > 1:
            padded = (1,) * (len(features) - parameter.ndim) + tuple(parameter.shape)
            differing = max(differing, 1 + max(axis for axis, length in enumerate(padded) if length > 1))
    return differing


@lru_cache(maxsize=256)
def _layout(shape: tuple[int, ...], differing: int, item: int, threads: int) -> Layout:
    steps, batch, *features = shape
    groups = tuple(features[:differing])
    run = prod(features[differing:])
    batch_last = differing > 0 and run < SHORTEST_ROW and batch > 1
    if differing == 0:
        run, repeats = batch * run, 1
    else:
        run, repeats = (run * batch, 1) if batch_last else (run, batch)
    widest = max(SHORTEST_ROW, min(CHUNK_BYTES, STEPS_BYTES // steps) // item)
    starts = np.arange(0, run, widest)
    runs = np.arange(repeats * prod(groups))
    first = (runs[:, None] * run + starts).ravel()
    last = (runs[:, None] * run + np.minimum(starts + widest, run)).ravel()
    group = np.repeat(runs % prod(groups), len(starts))
    chunks = np.stack([first, last, group], axis=1).astype(np.int64)
    count = max(1, min(threads, prod(shape) // _WORTH_A_THREAD, len(chunks)))
    handed_out = min(count * _PARTS_A_THREAD, len(chunks)) if count > 1 else 1
    parts = tuple(np.ascontiguousarray(part) for part in np.array_split(chunks, handed_out))
    return Layout(shape, groups, batch_last, parts, count, run)


@lru_cache(maxsize=256)
def _single(value: float, dtype: Any) -> Array:
    """Kept, as most parameters are the same number in every call."""
    return np.array([value], dtype)
