"""The energy of a sample, over samples of any length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nirbridge.costing import Meter
from nirbridge.costing.activity import Activity


@dataclass(frozen=True)
class Cost:
    """Means of one sample.

    Attributes:
        pj: energy of the network.
        ann_pj: energy of the ANN with its synapses.
        model: which model of energy, as of :func:`nirbridge.energy`.
        bits: width of the numbers.
        assumptions: what a reader must know to judge the figures.
    """

    pj: float
    ann_pj: float
    model: str
    bits: int
    assumptions: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """How many times the energy of the network the ANN takes."""
        return self.ann_pj / self.pj if self.pj else None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**self.__dict__, "assumptions": list(self.assumptions), "ratio": self.ratio}


def cost_of(meter: Meter, activity: Mapping[int, Activity], runtime: str) -> Cost | None:
    """The means over all samples of sums by their steps; None where nothing ran."""
    found = [(part.samples, part.inferences, meter.report(part, runtime)) for _, part in sorted(activity.items())]
    samples = sum(count for count, _, _ in found)
    if not samples:
        return None
    report = found[0][2]
    return Cost(
        pj=sum(count * inferences * one.pj for count, inferences, one in found) / samples,
        ann_pj=sum(count * inferences * one.ann_pj for count, inferences, one in found) / samples,
        model=report.model,
        bits=report.bits,
        assumptions=tuple(dict.fromkeys(line for _, _, one in found for line in one.assumptions)),
    )
