"""Staircases over many values: a table by the leading bits of a float, which ascend as the positive numbers do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_CHUNK = 2**15
"""Values that are looked up at a time, so that they stay in the cache."""
_LARGEST = 2**14
"""Longer tables leave the cache themselves."""
_BITS = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}


@dataclass(frozen=True)
class _Table:
    """A value shares its leading bits with one limit at most, and lies on one side of it.

    Attributes:
        shift: bits that are left out.
        first: leading bits of the first entry, below all limits.
        limits: of each entry, beyond all values where it has none.
        values: of each entry, below its limit and from it on.
    """

    shift: int
    first: int
    limits: Tensor
    values: Tensor

    def write(self, a: Tensor, into: Tensor) -> None:
        entry = a.view(_BITS[a.dtype][0]) >> self.shift
        entry.clamp_(self.first, self.first + len(self.limits) - 1).sub_(self.first)
        reached = a >= self.limits.index_select(0, entry)
        torch.index_select(self.values, 0, entry.mul_(2).add_(reached), out=into)


@dataclass(frozen=True)
class Staircase:
    """values[0] below the first limit, values[i] from limit i on; limits ascend and are above 0."""

    limits: Tensor
    values: Tensor
    table: _Table | None

    def __call__(self, a: Tensor) -> Tensor:
        """The value of the step of each a; any shape."""
        flat = a.contiguous().view(-1)
        made = torch.empty_like(flat)
        for start in range(0, len(flat), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._write(flat[part], made[part])
        return made.view(a.shape)

    def _write(self, a: Tensor, into: Tensor) -> None:
        if self.table:
            self.table.write(a, into)
        else:
            torch.index_select(self.values, 0, torch.bucketize(a, self.limits, right=True), out=into)


def staircase(limits: Tensor, values: Tensor) -> Staircase:
    """Of ``limits`` [n] and ``values`` [n + 1], both of the type of what is looked up."""
    return Staircase(limits, values, _table(limits, values))


def _table(limits: Tensor, values: Tensor) -> _Table | None:
    """None where the limits are too close for a table of this size."""
    integers, mantissa = _BITS[limits.dtype]
    bits = limits.view(integers)
    for shift in range(mantissa, 0, -1):
        leading = bits >> shift
        first, last = int(leading[0]) - 1, int(leading[-1]) + 1
        if last - first >= _LARGEST:
            return None
        if (leading.diff() > 0).all():
            starts = torch.arange(first, last + 1, dtype=integers)
            below = torch.searchsorted(leading, starts)
            ends = torch.full((len(starts),), torch.inf, dtype=limits.dtype)
            ends[(leading - first).long()] = limits
            beyond = below + (ends < torch.inf)
            return _Table(shift, first, ends, torch.stack([values[below], values[beyond]], 1).flatten())
    return None
