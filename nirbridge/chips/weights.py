"""The range of integer weights, single ones exact, merged ones bounded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.chips.limits import Chip


@dataclass(frozen=True)
class Weights:
    """Weights between ``low·2^shift`` and ``high·2^shift``.

    Attributes:
        low: the least.
        high: the largest.
        shift: a power of two that all share, which a chip's weight exponent holds.
        twos: another one, that ``low`` and ``high`` hold themselves.
        whole: whether all are integers; else low and high say nothing.
        fan_out: synapses that leave one source, at most.
        merged: how many sets of synapses they were merged from.
    """

    low: int = 1
    high: int = 1
    shift: int = 0
    twos: int = 0
    whole: bool = True
    fan_out: int = 1
    merged: int = 0

    def bits(self, chip: Chip) -> int | None:
        """Of a signed weight; None for real numbers.

        Twos that all weights share go into the chip's weight exponent, where there are more bits than a weight has.
        """
        bits = 1 + max(self.high, -self.low - 1, 0).bit_length()
        excess = max(0, bits - chip.weight_bits.value)
        return bits - min(self.twos, chip.weight_exponent.value - self.shift, excess) if self.whole else None

    def behind(self, weight: Any, fan_in: int, fan_out: int) -> Weights:
        """Merged with the synapses that come next.

        A merged weight is a sum of products over the neurons between, at most as many as one neuron hears of and one
        source reaches.
        """
        array = np.asarray(weight, dtype=np.float64)
        if not array.size or (array != np.rint(array)).any():
            return replace(self, whole=False, fan_out=self.fan_out * fan_out, merged=self.merged + 1)
        terms = min(fan_in, self.fan_out)
        low, high = terms * int(array.min()), terms * int(array.max())
        return replace(self._times(low, high, _twos(array)), fan_out=self.fan_out * fan_out, merged=self.merged + 1)

    def scaled(self, factor: Any) -> Weights:
        """Each times a factor of its target; one power of two for all goes into the shift."""
        values = np.asarray(factor, dtype=np.float64)
        if not values.size or (values != np.rint(values)).any():
            return replace(self, whole=False)
        low, high = int(values.min()), int(values.max())
        if low == high > 0 and low & (low - 1) == 0:
            return replace(self, shift=self.shift + low.bit_length() - 1)
        return self._times(low, high, _twos(values))

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
            twos=min(self.twos + self.shift, other.twos + other.shift) - shift,
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
            twos=min(one.twos for one in listed),
            whole=all(one.whole for one in listed),
            merged=max(one.merged for one in listed),
        )

    def _times(self, low: int, high: int, twos: int) -> Weights:
        products = [a * b for a in (self.low, self.high) for b in (low, high)]
        return replace(self, low=min(products), high=max(products), twos=self.twos + twos)


def _twos(whole: NDArray[np.float64]) -> int:
    """How many factors of 2 all of some whole numbers share."""
    joined = 0
    for row in np.atleast_2d(whole):  # not all at once, which would take the memory of the weights again
        joined |= int(np.bitwise_or.reduce(np.clip(row, -(2.0**62), 2.0**62).astype(np.int64), axis=None))
        if joined & 1:
            return 0
    return max((joined & -joined).bit_length() - 1, 0)


ONE = Weights()
"""Of an edge without synapses."""
