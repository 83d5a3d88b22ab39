"""Which edges of a dense graph are drawn together: tens of thousands of lines would be slow, huge and unreadable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nirbridge.showing.layering import Link

MOST_STEPS = 5000
"""Ranks that the edges of one kind may pass in all; the lines of a picture within it stay as they are."""
_DENSE = 4
"""Edges per node from which on two neighbouring ranks count as dense."""


@dataclass(frozen=True)
class Bundles:
    """The edges of a graph, by their numbers.

    Attributes:
        drawn: those with a line of their own, in the order given.
        bus: those that skip ranks or close a cycle and share the line beside the columns.
        gaps: the upper rank of a dense gap → the edges that cross it together.
    """

    drawn: list[int]
    bus: list[int] = field(default_factory=list)
    gaps: dict[int, list[int]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Edges without a line of their own."""
        return len(self.bus) + sum(map(len, self.gaps.values()))


def choose_bundles(ranks: Mapping[str, int], edges: Sequence[Link]) -> Bundles:
    """Bundles edges of a kind only where there are too many of it for a line each.

    1. Edges that skip ranks: all of them together.
    2. Edges that close a cycle: likewise.
    3. Edges between neighbouring ranks: those of the dense gaps, each gap apart.
    """
    skipping: list[int] = []
    closing: list[int] = []
    near: dict[int, list[int]] = {}
    passed = Counter[bool]()
    for number, (source, target, closes) in enumerate(edges):
        span = ranks[target] - ranks[source]
        if not closes and span == 1:
            near.setdefault(ranks[source], []).append(number)
        else:
            (closing if closes else skipping).append(number)
            passed[closes] += 1 + abs(span)
    bus = (skipping if passed[False] > MOST_STEPS else []) + (closing if passed[True] > MOST_STEPS else [])
    gaps: dict[int, list[int]] = {}
    if sum(map(len, near.values())) > MOST_STEPS:
        nodes = Counter(ranks.values())
        gaps = {rank: found for rank, found in near.items() if len(found) > _DENSE * (nodes[rank] + nodes[rank + 1])}
    bundled = {*bus, *(number for found in gaps.values() for number in found)}
    return Bundles([number for number in range(len(edges)) if number not in bundled], bus, gaps)
