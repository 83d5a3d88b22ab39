"""Percentiles of more values than fit in memory, from the largest of them."""

from __future__ import annotations

from math import ceil

import torch
from torch import Tensor

from nirbridge.converting.markers import Array


class TopValues:
    """A percentile of the values above 0 of each row, exact, of which batches arrive one after the other.

    The percentile p of P values lies (1 - p/100)(P - 1) places from the top, so only so many need to be kept.

    Args:
        percentile: p, up to 100.
        count: values of a row over all batches.
    """

    def __init__(self, percentile: float, count: int) -> None:
        self.share = 1 - percentile / 100
        self.kept = min(ceil(self.share * max(count - 1, 0)) + 1, count)
        self.top: Tensor | None = None
        self.positive: Tensor | None = None

    def add(self, rows: Tensor) -> None:
        """[rows, values] of the next batch."""
        joined = rows if self.top is None else torch.cat([self.top, rows], 1)
        one = self.kept == 1  # whose largest is found much faster
        self.top = joined.amax(1, keepdim=True) if one else joined.topk(min(self.kept, joined.shape[1]), dim=1).values
        positive = (rows > 0).sum(1)
        self.positive = positive if self.positive is None else self.positive + positive

    def result(self) -> Array:
        """The percentile of each row in double precision; 0 where nothing is above 0."""
        assert self.top is not None
        assert self.positive is not None
        top = self.top.double()
        place = self.share * (self.positive - 1).clamp(min=0).double()
        below = place.floor().long()
        above = (below + 1).clamp(max=top.shape[1] - 1)
        lower, higher = top.gather(1, above[:, None])[:, 0], top.gather(1, below[:, None])[:, 0]
        found: Array = torch.lerp(higher, lower, place - below).clamp(min=0).numpy()
        return found
