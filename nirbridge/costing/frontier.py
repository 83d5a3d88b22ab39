"""Which operating points are worth having: accuracy against energy and latency."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite

from nirbridge.errors import InputError


@dataclass(frozen=True)
class OperatingPoint:
    """One network at one setting of a sweep.

    Attributes:
        label: what tells it from the others, as ``T=3, S=4``.
        accuracy: share of right answers, 0 to 1.
        energy_pj: energy of one inference.
        latency: steps until the answer, or any other time; the same unit for all points.
        group: the family it belongs to, as ``M-LIF``.

    Raises:
        InputError: a number is not finite, the accuracy is not within 0..1, or energy or latency are below 0.
    """

    label: str
    accuracy: float
    energy_pj: float
    latency: float
    group: str = ""

    def __post_init__(self) -> None:
        numbers = {"accuracy": self.accuracy, "energy_pj": self.energy_pj, "latency": self.latency}
        for name, value in numbers.items():
            if not isfinite(value) or value < 0 or (name == "accuracy" and value > 1):
                limit = "a share within 0..1" if name == "accuracy" else "a number from 0 on"
                raise InputError(f"point '{self.label}'", f"{name} {value} is not {limit}", "Leave the point out")

    def dominates(self, other: OperatingPoint) -> bool:
        """Whether it is at least as good in all three, and better in one."""
        mine = (-self.accuracy, self.energy_pj, self.latency)
        theirs = (-other.accuracy, other.energy_pj, other.latency)
        return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def frontier(points: Iterable[OperatingPoint]) -> tuple[OperatingPoint, ...]:
    """The points that no other dominates, by rising energy; equal points stay all.

    A point is dominated where another is at least as accurate, as cheap and as fast, and better in one of the three.
    """
    listed = list(points)
    kept = [point for point in listed if not any(other.dominates(point) for other in listed)]
    return tuple(sorted(kept, key=lambda point: (point.energy_pj, point.latency, -point.accuracy)))
