"""The time axis that all panels share."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from nirbridge.runtime import Array, Plan

_UNITS = ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s"))


@dataclass(frozen=True)
class Clock:
    """Steps of the fastest node, and their seconds.

    Attributes:
        steps: on the whole axis.
        finest: of them for one step of the graph's input: the phases of a phase code, else 1.
        seconds: that one of them lasts.
    """

    steps: int
    finest: Fraction
    seconds: float

    @classmethod
    def of(cls, plan: Plan, input_steps: int) -> Clock:
        """The clock of ``input_steps`` steps of a graph's input."""
        finest = max([Fraction(1), *(planned.rate for planned in plan.nodes)])
        return cls(int(input_steps * finest), finest, plan.dt / float(finest))

    def stride(self, rate: Fraction) -> float:
        """Steps of the axis that one step of a node of this rate lasts."""
        return float(self.finest / rate)

    def times(self, count: int, rate: Fraction) -> Array:
        """Where the first ``count`` steps of a node of this rate stand: each at its begin."""
        return np.arange(count) * self.stride(rate)

    def cells(self, count: int, rate: Fraction) -> Array:
        """The middles of these steps, as wide as they last."""
        return (np.arange(count) + 0.5) * self.stride(rate) - 0.5

    @property
    def unit(self) -> tuple[float, str]:
        """The unit of time in which the whole axis has a readable number: how many of it a step lasts, its name."""
        factor, name = next((factor, name) for limit, factor, name in _UNITS if self.steps * self.seconds < limit)
        return self.seconds * factor, name

    @property
    def words(self) -> str:
        """What a step of the axis is."""
        return "step" if self.finest == 1 else f"step ({self.finest} for one of the input)"
