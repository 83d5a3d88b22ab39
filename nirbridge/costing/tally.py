"""Counts of operations and memory accesses, and what they cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from nirbridge.costing.costs import Costs, ram_access


@dataclass
class Tally:
    """Adds up one row of a report; both tables keep the order in which kinds come.

    Attributes:
        costs: energy of arithmetic.
        bits: width of the numbers.
        counts: how often, by kind.
        parts: pJ, by kind.
    """

    costs: Costs
    bits: int
    counts: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    parts: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def operate(self, *, macs: float = 0.0, adds: float = 0.0) -> None:
        """Adds arithmetic."""
        for kind, number, price in (("macs", macs, self.costs.mac), ("adds", adds, self.costs.add)):
            if number:
                self.counts[kind] += number
                self.parts[kind] += number * price

    def access(self, memory: str, number: float, words: float) -> None:
        """Adds reads or writes of ``memory``, which holds so many words; 0 words are a queue."""
        if number:
            self.counts[memory] += number
            self.parts[memory.split(" ")[0]] += number * ram_access(words, self.bits)

    @property
    def operations(self) -> float:
        """Multiply-accumulates and additions."""
        return self.counts.get("macs", 0.0) + self.counts.get("adds", 0.0)

    @property
    def pj(self) -> float:
        """All parts."""
        return sum(self.parts.values())
