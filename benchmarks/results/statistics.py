"""Numbers of several seeds, and the runs that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

from scipy.stats import t as student

from nirbridge.errors import InputError

from .store import Outcome


@dataclass(frozen=True)
class Sample:
    """One number, once for each seed, in the order of the seeds."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return sum(self.values) / len(self.values)

    @property
    def spread(self) -> float:
        """Their standard deviation (n - 1); 0 for one seed."""
        if len(self.values) < 2:
            return 0.0
        return sqrt(sum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    @property
    def half_interval(self) -> float:
        """Half of the 95 % interval of the mean, by Student's t; 0 for one seed."""
        if len(self.values) < 2:
            return 0.0
        return float(student.ppf(0.975, len(self.values) - 1)) * self.spread / sqrt(len(self.values))

    def each(self, function: Callable[..., float], *others: Sample) -> Sample:
        """``function`` of this sample's and the others' values, seed by seed."""
        return Sample(tuple(function(*row) for row in zip(self.values, *(o.values for o in others), strict=True)))

    def interval(self, digits: int = 2) -> str:
        """Mean ± half of the 95 % interval; of one value, the value alone."""
        return f"{self.mean:.{digits}f}" + (f" ± {self.half_interval:.{digits}f}" if len(self.values) > 1 else "")

    def text(self, digits: int = 1) -> str:
        """Mean ± spread; of one value, the value alone."""
        if len(self.values) == 1:
            return f"{self.mean:.{digits}f}"
        return f"{self.mean:.{digits}f} ± {self.spread:.{digits}f}"


def mean_of(samples: Iterable[Sample]) -> Sample:
    """The mean over several settings, seed by seed."""
    first, *rest = samples
    return first.each(lambda *row: sum(row) / len(row), *rest)


class Runs:
    """The runs of one page, to be asked for numbers."""

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = sorted(outcomes, key=lambda o: (o["experiment"], o["data"], str(o["cell"]), o["seed"]))

    def of(self, experiment: str, data: str | None = None, **cell: Any) -> list[Outcome]:
        """The runs of these settings; what ``cell`` leaves out is free."""
        return [
            run
            for run in self.outcomes
            if run["experiment"] == experiment
            and data in (None, run["data"])
            and all(run["cell"].get(name) == value for name, value in cell.items())
        ]

    def cells(self, experiment: str, data: str) -> list[dict[str, Any]]:
        """The settings of an experiment on a data set, each once."""
        found: list[dict[str, Any]] = []
        for run in self.of(experiment, data):
            if run["cell"] not in found:
                found.append(run["cell"])
        return found

    def sample(self, number: str, experiment: str, data: str, factor: float = 1.0, **cell: Any) -> Sample:
        """A number of one setting, for each seed.

        Raises:
            InputError: no run, or several of one seed, fit.
        """
        found = self.of(experiment, data, **cell)
        seeds = [run["seed"] for run in found]
        if not found or len(set(seeds)) < len(seeds):
            text = f"{len(found)} runs of '{experiment}' on '{data}' fit {cell}, of seeds {sorted(set(seeds))}"
            raise InputError("runs", text, "Complete the runs of this experiment")
        return Sample(tuple(factor * run["numbers"][number] for run in found))

    def converted(
        self, number: str, setting: dict[str, Any], experiment: str, factor: float = 1.0, **which: Any
    ) -> Sample:
        """A number of one of the settings with which runs converted, for each seed; ``which`` as for :meth:`of`."""
        found = []
        for run in self.of(experiment, **which):
            (row,) = (row for row in run["numbers"]["rows"] if row["setting"] == setting)
            found.append(factor * row[number])
        return Sample(tuple(found))

    def accuracy(self, experiment: str, data: str, **cell: Any) -> Sample:
        """The share of right answers, in percent."""
        return self.sample("accuracy", experiment, data, 100.0, **cell)
