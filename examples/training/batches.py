"""Batches of a run, shared out over its processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler, Sampler, SequentialSampler, default_collate

from nirbridge.errors import InputError, NirbridgeError


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


def _cut(order: Sequence[int], batch: int, training: bool) -> list[list[int]]:
    """``order`` in batches; while training, a last batch of a single sample joins the one before it.

    Batch normalisation has no statistics of one sample where it stands behind a single place.
    """
    starts = list(range(0, len(order), batch))
    if training and len(starts) > 1 and len(order) - starts[-1] == 1:
        starts.pop()
    return [list(order[start:end]) for start, end in pairwise([*starts, len(order)])]


class _Batches(Sampler[list[int]]):
    """All samples of each batch, for a process that is alone."""

    def __init__(self, dataset: Dataset[Any], batch: int, training: bool) -> None:
        self.batch, self.training = batch, training
        self.order: Sampler[int] = RandomSampler(dataset) if training else SequentialSampler(dataset)
        self.samples = len(dataset)

    def __len__(self) -> int:
        return len(_cut(range(self.samples), self.batch, self.training))

    def __iter__(self) -> Iterator[list[int]]:
        yield from _cut(list(self.order), self.batch, self.training)


class _Shares(Sampler[list[int]]):
    """Every ``count``-th sample of each batch, from ``rank`` on; the batches are those of a single process.

    While training, a last batch of fewer than two samples a process is filled up with its own, since every process
    must take part in every step, with a batch that has statistics. In tests each sample is taken once.
    """

    def __init__(self, samples: int, batch: int, share: Share) -> None:
        self.samples, self.batch, self.share = samples, batch, share

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __iter__(self) -> Iterator[list[int]]:
        share = self.share
        training = share.seed is not None
        order = range(self.samples) if share.seed is None else _order(self.samples, share.seed)
        for batch in _cut(order, self.batch, training):
            least = min(2 * share.count, self.batch)
            if training and len(batch) < least:
                batch = (batch * least)[:least]
            mine = batch[share.rank :: share.count]
            if mine:
                yield mine


def _order(samples: int, seed: int) -> list[int]:
    """The order of a shuffling ``DataLoader`` whose process was seeded with ``seed``, without touching its numbers."""
    numbers = torch.Generator().manual_seed(seed)
    torch.empty((), dtype=torch.int64).random_(generator=numbers)  # the loader's own seed, for its workers
    own = int(torch.empty((), dtype=torch.int64).random_(generator=numbers))
    return torch.randperm(samples, generator=torch.Generator().manual_seed(own)).tolist()


class _Telling(Dataset[Any]):
    """Gives the errors of a data set as samples: one raised by a process that loads would arrive as a RuntimeError."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        try:
            return self.dataset[index]
        except NirbridgeError as error:
            return error


def _collated(samples: list[Any]) -> Any:
    """Samples as a batch, or the first error among them."""
    errors = [sample for sample in samples if isinstance(sample, NirbridgeError)]
    return errors[0] if errors else default_collate(samples)


class SizedBatches:
    """Batches with time on axis 0: frames as they are, an image at every step.

    A last training batch of a single sample joins the one before it.

    Args:
        dataset: samples (x, class).
        batch: samples of a batch, over all processes.
        steps: T.
        has_time: whether samples are frames.
        training: whether the order is random, and no batch but an only one holds a single sample.
        share: of several processes.
        workers: processes that load.
    """

    def __init__(
        self,
        dataset: Dataset[Any],
        batch: int,
        steps: int,
        has_time: bool,
        training: bool,
        share: Share | None = None,
        workers: int = 0,
    ) -> None:
        self.steps, self.has_time = steps, has_time
        sampler: Sampler[list[int]] = (
            _Batches(dataset, batch, training)
            if share is None
            else _Shares(len(dataset), max(batch, share.count), share)
        )
        self.loader = DataLoader(_Telling(dataset), batch_sampler=sampler, num_workers=workers, collate_fn=_collated)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Frames [T, B, ...] and classes [B].

        Raises:
            InputError: samples of another number of frames.
            NirbridgeError: whatever the data set says of a sample.
        """
        for loaded in self.loader:
            if isinstance(loaded, NirbridgeError):
                raise loaded
            x, labels = loaded
            frames = x.transpose(0, 1) if self.has_time else x.expand(self.steps, *x.shape)
            if len(frames) != self.steps:
                found = f"have {len(frames)} frames, the run takes {self.steps}"
                raise InputError("data", found, f"Set steps={len(frames)}, or encode to {self.steps} frames")
            yield frames.float(), labels
