"""The figures of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from nirbridge.evaluating.costs import Cost
from nirbridge.evaluating.statistics import confusion, margins, ranks, settled_from, wilson_interval
from nirbridge.evaluating.work import BAD
from nirbridge.runtime import Array


@dataclass(frozen=True)
class Figures:
    """One network on a data set.

    Attributes:
        judge: who decided, as "norse".
        classes: how many there are.
        all_predictions: of each judge, by name, the class of each sample [N], -1 where it could not be read.
        labels: [N]; None where they are not known.
        scores: [N, classes] after the last step, NaN where a sample could not be read.
        steps: [N], of each sample in steps of the graph's input.
        spikes: [N], that its neurons sent; None where they were not recorded.
        milliseconds: [N], its share of the run.
        by_step: accuracy after each output step; None without labels.
        cost: the energy of a sample; None where it was not recorded, or no model has a rule for the graph.
        files: [N], the recordings; empty where samples have no file of their own.
        bad: why samples could not be read, by number.
        lost: what was left out of samples, by number.
        notes: how data were read, what runtimes warned of and the host lost, a line each.
        seconds: that it took, without what an earlier run had done.
        resumed: samples that an earlier run had done.
    """

    judge: str
    classes: int
    all_predictions: Mapping[str, Array]
    labels: Array | None
    scores: Array
    steps: Array
    spikes: Array | None
    milliseconds: Array
    by_step: Array | None
    cost: Cost | None
    files: tuple[str, ...]
    bad: Mapping[int, str]
    lost: Mapping[int, str]
    notes: tuple[str, ...]
    seconds: float
    resumed: int = 0

    @property
    def predictions(self) -> Array:
        """[N], the class of each sample, -1 where it could not be read."""
        return self.all_predictions[self.judge]

    @cached_property
    def good(self) -> Array:
        """[N], whether the sample could be read."""
        return self.predictions != BAD

    @property
    def samples(self) -> int:
        """How many were judged."""
        return int(self.good.sum())

    @property
    def correct(self) -> int | None:
        """How many of them are right; None without labels."""
        return None if self.labels is None else int((self.predictions == self.labels)[self.good].sum())

    @property
    def accuracy(self) -> float | None:
        """The share that is right; None without labels."""
        return None if self.correct is None else self.correct / self.samples

    @property
    def interval(self) -> tuple[float, float] | None:
        """Within which the accuracy lies with 95 % probability (Wilson 1927); None without labels."""
        return None if self.correct is None else wilson_interval(self.correct, self.samples)

    def top(self, k: int) -> float | None:
        """The share of samples whose label is among the ``k`` best scores; None without labels."""
        if self.labels is None:
            return None
        return float((ranks(self.scores, self.labels)[self.good] < k).mean())

    @cached_property
    def margins(self) -> Array:
        """[N], how far the best score lies above the second best; NaN where a sample could not be read."""
        return margins(self.scores)

    @cached_property
    def confusion(self) -> Array | None:
        """[classes, classes], how many samples of each label (row) were taken for each class (column)."""
        if self.labels is None:
            return None
        return confusion(self.labels[self.good], self.predictions[self.good], self.classes)

    @property
    def ties(self) -> int:
        """Samples whose two best scores are equal, so that the lower class was taken."""
        return int((self.margins[self.good] == 0).sum()) if self.classes > 1 else 0

    @property
    def settled(self) -> int | None:
        """The output step from which on the accuracy stays within 0.01 of the last one's; None without labels."""
        return None if self.by_step is None or not len(self.by_step) else settled_from(self.by_step)

    @property
    def throughput(self) -> float:
        """Samples in a second."""
        return (len(self.predictions) - self.resumed) / self.seconds if self.seconds else 0.0

    def differing(self, judge: str) -> int:
        """How many decisions of another judge are not those of the first."""
        return int((self.all_predictions[judge] != self.predictions)[self.good].sum())

    def accuracy_of(self, judge: str) -> float | None:
        """The accuracy of any judge; None without labels."""
        if self.labels is None:
            return None
        return float((self.all_predictions[judge] == self.labels)[self.good].mean())

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        spikes = None if self.spikes is None else float(self.spikes[self.good].mean())
        return {
            "accuracy": self.accuracy,
            "interval": None if self.interval is None else list(self.interval),
            "correct": self.correct,
            "samples": self.samples,
            "bad": len(self.bad),
            "top5": self.top(5) if self.classes > 5 else None,
            "ties": self.ties,
            "judge": self.judge,
            "others": {
                name: {"accuracy": self.accuracy_of(name), "differing": self.differing(name)}
                for name in self.all_predictions
                if name != self.judge
            },
            "by_step": None if self.by_step is None else self.by_step.tolist(),
            "settled_from": self.settled,
            "confusion": None if self.confusion is None else self.confusion.tolist(),
            "spikes": spikes,
            "energy": None if self.cost is None else self.cost.to_dict(),
            "steps": float(np.mean(self.steps[self.good])),
            "milliseconds": float(np.mean(self.milliseconds[self.good])),
            "seconds": self.seconds,
            "samples_a_second": self.throughput,
            "resumed": self.resumed,
            "bad_samples": {str(number): text for number, text in self.bad.items()},
            "lost": len(self.lost),
            "lost_samples": {str(number): text for number, text in self.lost.items()},
            "notes": list(self.notes),
        }
