"""The pieces of an evaluation, and their way through the workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.errors import InputError
from nirbridge.evaluating.batching import batch_line, batch_size, idle_lines
from nirbridge.evaluating.journal import Journal
from nirbridge.evaluating.judges import GraphJudge, Judge, require_scores
from nirbridge.evaluating.samples import Samples, all_bad, require_labels
from nirbridge.evaluating.work import Judged, Piece, judge_piece
from nirbridge.reports import counted
from nirbridge.runtime import Array, Plan
from nirbridge.version import __version__
from nirbridge.workers import Crew

_LOOKED_AT = 8
"""Samples of unknown length that are read beforehand, from all over the data set, to know how many may run together."""


@dataclass(frozen=True)
class Run:
    """An evaluation that is ready to start.

    Attributes:
        samples: the data set.
        count: how many samples of it are judged.
        labels: of all of them, if known.
        classes: of the network.
        plan: of the graph.
        first: who decides.
        judges: everybody, ``first`` before the others.
        batch: samples that run together.
        sample_bytes: that the data and records of a sample take about.
    """

    samples: Samples
    count: int
    labels: Array | None
    classes: int
    plan: Plan
    first: GraphJudge
    judges: tuple[Judge, ...]
    batch: int
    sample_bytes: int

    def pieces(self, first: int) -> Iterator[Piece]:
        """The pieces from sample ``first`` on."""
        for start in range(first, self.count, self.batch):
            stop = min(self.count, start + self.batch)
            labels = None if self.labels is None else self.labels[start:stop]
            yield Piece(start, stop - start, self.samples.part(start, stop), labels)

    def notes(self, workers: int) -> list[str]:
        """What is said before it starts."""
        scores = self.count * self.classes
        return [
            batch_line(self.batch, self.sample_bytes, workers, scores),
            *idle_lines(self.batch, self.count, workers),
        ]

    def of_the_part(self) -> list[str]:
        """What a reader of the figures must know of a part of the data set: sorted ones begin with one class."""
        if self.labels is None or self.count == len(self.labels):
            return []
        part, whole = (len(np.unique(labels)) for labels in (self.labels[: self.count], self.labels))
        held = f"The first {self.count:,} of {counted(len(self.labels), 'sample')} hold {part} of {whole} classes."
        return [held] if part < whole else []

    def identity(self) -> dict[str, Any]:
        """What a journal must agree about, as plain data."""
        return {
            "data": list(self.samples.identity),
            "labels": None if self.labels is None else self.labels.tolist(),
            "batch": self.batch,
            "samples": self.count,
            "graph or options": json.loads(json.dumps([judge.identity for judge in self.judges], default=str)),
            "version of nirbridge": __version__,
        }


def prepared(
    samples: Samples, plan: Plan, first: GraphJudge, judges: Sequence[Judge], batch: int | None, most: int | None
) -> Run:
    """A run of ``judges`` over the first ``most`` samples, or all.

    Raises:
        InputError: labels do not fit, or none of the samples can be read.
    """
    classes = require_scores(plan)
    labels = None if samples.labels is None else require_labels(samples.labels, len(samples), classes)
    steps = samples.steps or _longest(samples)
    sizes = [batch_size(judge, steps) for judge in judges if isinstance(judge, GraphJudge)]
    size, sample_bytes = min(count for count, _ in sizes), max(each for _, each in sizes)
    return Run(
        samples=samples,
        count=len(samples) if most is None else min(most, len(samples)),
        labels=labels,
        classes=classes,
        plan=plan,
        first=first,
        judges=tuple(judges),
        batch=batch or size,
        sample_bytes=sample_bytes,
    )


def finished(run: Run, workers: Crew, journal: Journal, bad: str) -> Iterator[Judged]:
    """The pieces that no earlier run did, in order, as they are done; all are in the journal then.

    Raises:
        InputError: a sample is bad and ``bad`` is "error".
    """
    for judged in journal.done:
        _require_good(judged, bad)
    for judged in workers.map(judge_piece, run.pieces(journal.samples), run.judges):
        _require_good(judged, bad)
        journal.add(judged)
        yield judged


def _require_good(judged: Judged, bad: str) -> None:
    if judged.bad and bad == "error":
        place, text = next(iter(judged.bad.items()))
        raise InputError(f"input, sample {judged.first + place}", text, "Mend the data, or leave the sample out")


def _longest(samples: Samples) -> int:
    """Steps of the longest of a few samples."""
    places = np.unique(np.linspace(0, len(samples) - 1, _LOOKED_AT).astype(int)).tolist()
    batches = [samples.part(place, place + 1)() for place in places]
    if len(places) == len(samples) and not any(map(len, batches)):
        raise all_bad(0, batches[0].bad[0])
    return max(int(batch.steps.max(initial=1)) for batch in batches)
