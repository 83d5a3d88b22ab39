"""How the neurons of a batch are cut into chunks, parameters laid out beside them, and chunks shared out to threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
CHUNK_BYTES = 4096
"""A chunk's row; the buffers and rows that a pass works on then fit the first-level cache."""
_WORTH_A_THREAD = 1 << 16


@dataclass(frozen=True)
class Layout:
    """Chunks of a [T, N] array and the length of the parameters beside them.

    Attributes:
        chunks: (C, 3) of first and last neuron and where their parameters begin.
        width: elements of a laid out parameter.
        features: shape that parameters per feature broadcast to; None where each is one number.
        threads: how many share the chunks.
    """

    chunks: Array
    width: int
    features: tuple[int, ...] | None
    threads: int

    @classmethod
    def of(cls, x: Tensor, parameters: tuple[Tensor, ...]) -> Layout:
        """For ``x`` [T, B, *features] and parameters that broadcast to the features."""
        neurons, features = x[0].numel(), tuple(x.shape[2:])
        size = CHUNK_BYTES // x.element_size()
        shared = all(parameter.numel() == 1 for parameter in parameters)
        row = neurons if shared else max(1, neurons // x.shape[1])
        cuts = np.arange(0, row, size)
        first = (np.arange(0, neurons, row)[:, None] + cuts).ravel()
        last = np.minimum(first + size, first - first % row + row)
        offset = np.zeros_like(first) if shared else first % row
        threads = max(1, min(torch.get_num_threads(), x.numel() // _WORTH_A_THREAD, len(first)))
        chunks = np.stack([first, last, offset], axis=1).astype(np.int64)
        return cls(chunks, min(size, row) if shared else row, None if shared else features, threads)

    def spread(self, parameter: Tensor) -> Array:
        """``parameter`` as (width,)."""
        if self.features is None:
            return np.full(self.width, parameter.item(), dtype=str(parameter.dtype).removeprefix("torch."))
        return np.ascontiguousarray(parameter.detach().expand(self.features).reshape(-1).numpy()).copy()

    def gathered(self, sums: Array, parameter: Tensor) -> Tensor:
        """(threads, width) sums over neurons, summed to the shape of ``parameter``."""
        total = torch.from_numpy(sums).sum(0)
        if self.features is None:
            return total.sum().reshape(parameter.shape)
        return total.reshape(self.features).sum_to_size(parameter.shape)

    def shared_out(self, work: Callable[[int, Array], None]) -> None:
        """Calls ``work(thread, chunks)`` for each thread's part of the chunks, at once."""
        if self.threads == 1:
            work(0, self.chunks)
            return
        parts = [np.ascontiguousarray(part) for part in np.array_split(self.chunks, self.threads)]
        others = [_pool(os.getpid()).submit(work, thread, parts[thread]) for thread in range(1, self.threads)]
        work(0, parts[0])
        for other in others:
            other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One pool a process: the threads of a parent do not live on in a forked child."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1)), thread_name_prefix="nirbridge-neurons")
