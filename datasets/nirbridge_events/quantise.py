"""The quantiser of one-hot coding: counts to powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 1 << 16
"""Counts that are quantised at once, few enough to stay in the nearest cache."""


def quantise(counts: npt.NDArray[Any], lanes: int) -> npt.NDArray[np.float32]:
    """The one-hot value of a count: 0 stays 0, c becomes min(2^round(log2 c), 2^(lanes-1)).

    1→1, 2→2, 3 to 5→4, 6 to 11→8.  log2 of an integer never lies halfway between integers, so there are no ties;
    rounding is done on integers: log2 c is above b + 1/2 exactly where c² > 2^(2b+1).
    """
    return np.minimum(nearest_power(counts), 1 << (lanes - 1)).astype(np.float32)


def nearest_power(counts: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """2^round(log2 c) of counts below 2^31, and 0 of 0."""
    c = counts.astype(np.int64)
    floor = np.frexp(np.maximum(c, 1))[1].astype(np.int64) - 1
    power = floor + (c * c > 1 << (2 * floor + 1))
    return np.where(c > 0, 1 << power, 0)


class Quantiser:
    """``quantise`` for counts up to ``largest``.

    Counts and values that fit a byte are quantised by one comparison for each lane s > 1, r_s = [c >= limit_s], which
    runs over many bytes at once; others by table.

    Attributes:
        dtype: the integer type in which to count.
    """

    def __init__(self, largest: int, lanes: int) -> None:
        counts = np.arange(largest + 1)
        self._table = quantise(counts, lanes)
        self._cut = nearest_power(counts) > self._table
        self._limits: list[np.uint8] | None = None
        self._scratch = np.empty((2, BLOCK), dtype=np.uint8)
        self.dtype: np.dtype[Any] = np.dtype(np.int32)
        if largest < 256 and self._table[-1] < 256:
            self.dtype = np.dtype(np.uint8)
            self._limits = [np.uint8(c + 1) for c in np.flatnonzero(np.diff(self._table))]

    @property
    def cuts(self) -> bool:
        """Whether there are counts that exceed the highest lane."""
        return bool(self._cut[-1])

    def values(self, counts: npt.NDArray[Any], out: npt.NDArray[np.float32] | None = None) -> npt.NDArray[np.float32]:
        """The value of each count, which is of ``dtype``; written to ``out`` if it is given."""
        values = np.empty(counts.size, dtype=np.float32) if out is None else out
        if self._limits is None:
            return np.take(self._table, counts, out=values, mode="clip")
        for start in range(0, counts.size, BLOCK):
            part = counts[start : start + BLOCK]
            values[start : start + BLOCK] = self._lanes_of(part, self._limits)
        return values

    def _lanes_of(self, counts: npt.NDArray[np.uint8], limits: list[np.uint8]) -> npt.NDArray[np.uint8]:
        """y = min(c, 2) + 2(r_2 + 2(r_3 + ..)): lanes grow by 1, 1, 2, 4, .., the first two with the count itself."""
        total, reached = self._scratch[:, : counts.size]
        lowest, higher = np.uint8(min(len(limits), 2)), limits[2:]
        if not higher:
            return np.minimum(counts, lowest, out=total)
        np.greater_equal(counts, higher[-1], out=total.view(np.bool_))
        np.add(total, total, out=total)
        for limit in reversed(higher[:-1]):
            np.greater_equal(counts, limit, out=reached.view(np.bool_))
            np.add(total, reached, out=total)
            np.add(total, total, out=total)
        np.minimum(counts, lowest, out=reached)
        return np.add(total, reached, out=total)

    def count_cut(self, counts: npt.NDArray[Any]) -> int:
        """How many counts exceed the highest lane."""
        return int(self._cut.take(counts.astype(np.intp)).sum()) if self.cuts else 0
