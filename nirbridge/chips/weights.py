"""The range of integer weights, single ones exact, merged ones bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Weights:
    """Weights between ``low·2^shift`` and ``high·2^shift``.

    Attributes:
        low: the least.
        high: the largest.
        shift: a power of two that all share, which a chip's weight exponent holds.
        whole: whether all are integers; else low and high say nothing.
        fan_out: synapses that leave one source, at most.
        merged: how many sets of synapses they were merged from.
    """

    low: int = 1
    high: int = 1
    shift: int = 0
    whole: bool = True
    fan_out: int = 1
    merged: int = 0

    @property
    def bits(self) -> int | None:
        """Of a signed weight; None for real numbers."""
        return 1 + max(self.high, -self.low - 1, 0).bit_length() if self.whole else None

    def behind(self, weight: Any, fan_in: int, fan_out: int) -> Weights:
        """Merged with the synapses that come next.

        A merged weight is a sum of products over the neurons between, at most as many as one neuron hears of and one
        source reaches.
        """
        array = np.asarray(weight, dtype=np.float64)
        if not array.size or (array != np.rint(array)).any():
            return replace(self, whole=False, fan_out=self.fan_out * fan_out, merged=self.merged + 1)
        terms = min(fan_in, self.fan_out)
        low, high = self._times(int(array.min()), int(array.max()))
        return replace(self, low=terms * low, high=terms * high, fan_out=self.fan_out * fan_out, merged=self.merged + 1)

    def scaled(self, factor: Any) -> Weights:
        """Each times a factor of its target; one power of two for all goes into the shift."""
        values = np.unique(np.asarray(factor, dtype=np.float64))
        if not values.size or (values != np.rint(values)).any():
            return replace(self, whole=False)
        low, high = int(values[0]), int(values[-1])
        if low == high > 0 and low & (low - 1) == 0:
            return replace(self, shift=self.shift + low.bit_length() - 1)
        low, high = self._times(low, high)
        return replace(self, low=low, high=high)

    def repeated(self, times: int) -> Weights:
        """Each to so many places."""
        return replace(self, fan_out=self.fan_out * times)

    def __add__(self, other: Weights) -> Weights:
        """Of synapses side by side, which add up where they join the same neurons."""
        shift = min(self.shift, other.shift)
        lows = self.low << (self.shift - shift), other.low << (other.shift - shift)
        highs = self.high << (self.shift - shift), other.high << (other.shift - shift)
        return Weights(
            low=min(*lows, sum(lows)),
            high=max(*highs, sum(highs)),
            shift=shift,
            whole=self.whole and other.whole,
            fan_out=self.fan_out + other.fan_out,
            merged=self.merged + other.merged,
        )

    @staticmethod
    def hull(several: Iterable[Weights]) -> Weights:
        """The widest of each side, for memory that holds them all."""
        listed = list(several) or [ONE]
        return Weights(
            low=min(one.low for one in listed),
            high=max(one.high for one in listed),
            shift=max(one.shift for one in listed),
            whole=all(one.whole for one in listed),
            merged=max(one.merged for one in listed),
        )

    def _times(self, low: int, high: int) -> tuple[int, int]:
        products = [a * b for a in (self.low, self.high) for b in (low, high)]
        return min(products), max(products)


ONE = Weights()
"""Of an edge without synapses."""
