"""Batches of a run, shared out over its processes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nirbridge.errors import InputError


@dataclass(frozen=True)
class Share:
    """The part of each batch that one of several processes computes.

    Attributes:
        count: how many processes.
        rank: which of them.
        seed: of the order in which one process alone would take the samples; None is the order of the data.
    """

    count: int
    rank: int
    seed: int | None


class _Shares(Sampler[list[int]]):
    """Every ``count``-th sample of each batch, from ``rank`` on; the batches are those of a single process.

    While training, a last batch of fewer samples than processes is filled up with its own, since every process must
    take part in every step. In tests each sample is taken once.
    """

    def __init__(self, samples: int, batch: int, share: Share) -> None:
        self.samples, self.batch, self.share = samples, batch, share

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[int]]:
        share = self.share
        order = list(range(self.samples)) if share.seed is None else _order(self.samples, share.seed)
        for start in range(0, self.samples, self.batch):
            batch = order[start : start + self.batch]
            if share.seed is not None and len(batch) < share.count:
                batch = (batch * share.count)[: share.count]
            mine = batch[share.rank :: share.count]
            if mine:
                yield mine


def _order(samples: int, seed: int) -> list[int]:
    """The order of a shuffling ``DataLoader`` whose process was seeded with ``seed``, without touching its numbers."""
    numbers = torch.Generator().manual_seed(seed)
    torch.empty((), dtype=torch.int64).random_(generator=numbers)  # the loader's own seed, for its workers
    own = int(torch.empty((), dtype=torch.int64).random_(generator=numbers))
    return torch.randperm(samples, generator=torch.Generator().manual_seed(own)).tolist()


class SizedBatches:
    """Batches with time on axis 0: frames as they are, an image at every step.

    Args:
        dataset: samples (x, class).
        batch: samples of a batch, over all processes.
        steps: T.
        has_time: whether samples are frames.
        shuffled: whether the order is random.
        share: of several processes.
        workers: processes that load.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch: int,
        steps: int,
        has_time: bool,
        shuffled: bool,
        share: Share | None = None,
        workers: int = 0,
    ) -> None:
        self.steps, self.has_time = steps, has_time
        if share is None:
            self.loader = DataLoader(dataset, batch, shuffle=shuffled, num_workers=workers)
        else:
            sampler = _Shares(len(dataset), max(batch, share.count), share)
            self.loader = DataLoader(dataset, batch_sampler=sampler, num_workers=workers)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Frames [T, B, ...] and classes [B].

        Raises:
            InputError: samples of another number of frames.
        """
        for x, labels in self.loader:
            frames = x.transpose(0, 1) if self.has_time else x.expand(self.steps, *x.shape)
            if len(frames) != self.steps:
                found = f"have {len(frames)} frames, the run takes {self.steps}"
                raise InputError("data", found, f"Set steps={len(frames)}, or encode to {self.steps} frames")
            yield frames.float(), labels
