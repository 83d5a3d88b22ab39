"""The values of spikes and their colours: each level its own, or ranges of them where they are many."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nirbridge.ir import spec_of
from nirbridge.pictures.palette import BLUE, FALLING, RISING
from nirbridge.runtime import Array, PlannedNode


@dataclass(frozen=True)
class Level:
    """Spikes of one colour.

    Attributes:
        low: the least value.
        high: the largest value, the same for a single level.
        colour: of its spikes.
    """

    low: float
    high: float
    colour: str

    @property
    def words(self) -> str:
        """The value, or the range."""
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"


def find_levels(planned: PlannedNode, values: Array) -> tuple[Level, ...]:
    """The levels that a node can send, those that ``values`` do not hold included; by rising value.

    Of a node that hands on what it gets, or brings data, the levels are those of ``values``.
    """
    sends = spec_of(planned.node).sends
    if sends.values is not None:
        known = np.asarray(sends.values(planned.node), dtype=np.float64)
    else:
        known = np.ones(1) if sends.kind == "binary" else np.asarray(values, dtype=np.float64)
    distinct = np.unique(known[known != 0])
    below = _grouped(distinct[distinct < 0][::-1], FALLING)
    above = _grouped(distinct[distinct > 0], (BLUE,) if len(distinct) == 1 else RISING)
    return (*reversed(below), *above)


def _grouped(values: Array, colours: tuple[str, ...]) -> list[Level]:
    """One level for each value, in the order given, or as many ranges as there are colours."""
    parts = np.array_split(values, len(colours)) if len(values) > len(colours) else values.reshape(-1, 1)
    return [Level(float(part.min()), float(part.max()), colour) for part, colour in zip(parts, colours, strict=False)]


def split_by_level(levels: tuple[Level, ...], values: Array) -> list[Array]:
    """For each level where ``values``, of any shape, have it: every value but 0 belongs to the nearest one.

    A runtime may round a level to single precision.
    """
    spiking = values != 0
    borders = [(lower.high + upper.low) / 2 for lower, upper in pairwise(levels)]
    number = np.searchsorted(borders, values)
    return [spiking & (number == index) for index in range(len(levels))]
