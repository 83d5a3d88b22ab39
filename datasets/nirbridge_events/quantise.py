"""The quantiser of one-hot coding: counts to powers of two."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


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
    """``quantise`` for counts up to ``largest``, by table.

    Attributes:
        dtype: the integer type in which to count; 8 bits where they suffice, because bytes are translated fastest.
    """

    def __init__(self, largest: int, lanes: int) -> None:
        counts = np.arange(largest + 1)
        self._table = quantise(counts, lanes)
        self._cut = nearest_power(counts) > self._table
        self._bytes: bytes | None = None
        self.dtype: np.dtype[Any] = np.dtype(np.int32)
        if largest < 256 and self._table[-1] < 256:
            self.dtype = np.dtype(np.uint8)
            self._bytes = self._table.astype(np.uint8).tobytes().ljust(256, b"\0")

    def values(self, counts: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The value of each count."""
        if self._bytes is None:
            return self._table.take(counts)
        coded = counts.astype(np.uint8, copy=False).tobytes().translate(self._bytes)
        return np.frombuffer(coded, dtype=np.uint8).astype(np.float32)

    def count_cut(self, counts: npt.NDArray[Any]) -> int:
        """How many counts exceed the highest lane."""
        return int(self._cut.take(counts.astype(np.intp)).sum()) if self._cut[-1] else 0
