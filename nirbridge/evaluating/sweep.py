"""Networks, labelled data → accuracy, energy and latency of each, and who is worth having."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from nirbridge.costing import EnergyReport, Meter, OperatingPoint, draw_frontier, frontier
from nirbridge.costing.latency import latency_steps, window_steps
from nirbridge.costing.text import energy_text, ratio_text
from nirbridge.errors import GraphWarning, InputError
from nirbridge.evaluating.candidates import Candidate
from nirbridge.evaluating.collecting import gathered
from nirbridge.evaluating.journal import Journal
from nirbridge.evaluating.judges import GraphJudge
from nirbridge.evaluating.running import finished, prepared
from nirbridge.evaluating.work import activity_sum
from nirbridge.ir import TemporalMix, spec_of
from nirbridge.reports import counted, printable, table
from nirbridge.runtime import Plan
from nirbridge.workers import Crew, crew

Progress = Callable[[int], None]


@dataclass(frozen=True)
class Outcome:
    """One network, judged.

    Attributes:
        name: the name in the table.
        label: what tells it from others of its group.
        group: the family it belongs to.
        accuracy: share of right decisions.
        report: its energy.
        steps: T, steps of one inference, phases for a phase code.
        latency: steps until the answer.
    """

    name: str
    label: str
    group: str
    accuracy: float
    report: EnergyReport
    steps: int
    latency: int

    def point(self) -> OperatingPoint:
        """As one point of a frontier."""
        return OperatingPoint(self.label, self.accuracy, self.report.pj, self.latency, self.group)


@dataclass(frozen=True)
class Sweep:
    """Networks that were judged alike.

    Attributes:
        outcomes: one for each network, in their order.
    """

    outcomes: tuple[Outcome, ...]

    @cached_property
    def points(self) -> tuple[OperatingPoint, ...]:
        """One for each network, in their order."""
        return tuple(outcome.point() for outcome in self.outcomes)

    @cached_property
    def frontier(self) -> tuple[OperatingPoint, ...]:
        """The points that no other dominates, by rising energy."""
        return frontier(self.points)

    def dominator(self, index: int) -> Outcome | None:
        """A network of the frontier that dominates this one; ``None`` where it is on the frontier itself."""
        rivals = (o for o in self.outcomes if o.point() in self.frontier)
        return next((rival for rival in rivals if rival.point().dominates(self.points[index])), None)

    @property
    def bits_text(self) -> str:
        """The widths of numbers at which the networks were priced, as "8 and 32"."""
        return " and ".join(map(str, sorted({outcome.report.bits for outcome in self.outcomes})))

    def table(self) -> str:
        """One row a network in their order, then who is on the frontier, as text."""
        return _table(self)

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draws accuracy over energy, with latency as colour.

        Raises:
            InputError: a network takes no energy at all, which a logarithmic axis cannot show.
            FileError: the file cannot be written.
        """
        for outcome in self.outcomes:
            if not outcome.report.pj:
                found = "takes no energy on these data, which has no place on a logarithmic axis"
                raise InputError(f"network '{outcome.name}'", found, "Leave it out, or draw no picture")
        title = f"Accuracy, energy (model '{self.outcomes[0].report.model}', {self.bits_text} bits) and latency"
        draw_frontier(self.points, path, title)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        report = self.outcomes[0].report
        alike = len({outcome.report.bits for outcome in self.outcomes}) == 1
        bits = report.bits if alike else None
        shared = {"model": report.model, "bits": bits, "runtime": report.runtime, "samples": report.samples}
        return shared | {"networks": [self._row(i) for i in range(len(self.outcomes))]}

    def _row(self, index: int) -> dict[str, Any]:
        outcome, rival = self.outcomes[index], self.dominator(index)
        return {
            "network": outcome.name,
            "group": outcome.group,
            "label": outcome.label,
            "steps": outcome.steps,
            "bits": outcome.report.bits,
            "accuracy": outcome.accuracy,
            "energy_pj": outcome.report.pj,
            "ann_pj": outcome.report.ann_pj,
            "ratio": outcome.report.ratio,
            "latency": outcome.latency,
            "on_frontier": rival is None,
            "dominated_by": None if rival is None else rival.name,
            "assumptions": list(outcome.report.assumptions),
        }


def sweep(
    candidates: Iterable[Candidate],
    model: str = "m-lif",
    runtime: str = "reference",
    *,
    jobs: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Sweep:
    """Runs every network once on its data and judges it.

    Args:
        candidates: the networks with their data, from :func:`nirbridge.evaluating.candidate`.
        model: the energy model.
        runtime: runs them.
        jobs: processes of one thread each, as for :func:`nirbridge.evaluate`; 1 works in this process.
        cluster: a Dask cluster in their place.
        progress: gets the number of samples that were run since it was called before.
        options: as for :func:`nirbridge.energy`.

    Raises:
        InputError, UnsupportedError, RuntimeUnavailableError: as :func:`nirbridge.energy`.
    """
    with crew(jobs, cluster) as workers:
        outcomes = [judge(one, workers, model, runtime, progress=progress, **options) for one in candidates]
    return collected(outcomes)


def judge(
    candidate: Candidate,
    workers: Crew,
    model: str = "m-lif",
    runtime: str = "reference",
    *,
    progress: Progress | None = None,
    bits: int | None = None,
    input_kind: str | None = None,
    **options: Any,
) -> Outcome:
    """One network's accuracy, energy and latency, all from one run; see :func:`sweep`."""
    energy = {"model": model, "bits": bits, "input_kind": input_kind}
    first = GraphJudge(runtime, candidate.graph, runtime, options, energy)
    with closing(first):
        first.program(warn=True)
        meter = first.meter
        if meter is None:
            assert first.unpriced is not None, "energy is asked for"
            raise first.unpriced
        run = prepared(candidate.data, candidate.plan, first, [first], Meter.samples_at_once, candidate.samples)
        journal = Journal()
        for piece in finished(run, workers, journal, "error"):
            if progress is not None:
                progress(len(piece))
        found = gathered(run, journal.done, 0.0, 0)
        ((_, activity),) = activity_sum([piece.activity for piece in journal.done]).items()
        report = meter.report(activity, runtime)
    for note in (*candidate.data.notes, *run.of_the_part(), *found.notes):
        warnings.warn(f"network '{candidate.name}': {note}", GraphWarning, stacklevel=2)
    return Outcome(
        name=candidate.name,
        label=candidate.label or f"T={window_steps(candidate.plan, report.steps)}",
        group=candidate.group or family_of(candidate.plan),
        accuracy=found.accuracy or 0.0,
        report=report,
        steps=window_steps(candidate.plan, report.steps),
        latency=latency_steps(candidate.plan, report.steps),
    )


def collected(outcomes: list[Outcome]) -> Sweep:
    """The networks together; labels that occur more than once in a group get the network's name."""
    often = Counter((outcome.group, outcome.label) for outcome in outcomes)
    return Sweep(tuple(replace(o, label=f"{o.label} {o.name}") if often[o.group, o.label] > 1 else o for o in outcomes))


def _table(found: Sweep) -> str:
    mixed = len({outcome.report.bits for outcome in found.outcomes}) > 1
    numbers = ("T", *(("bits",) if mixed else ()), "accuracy", "energy", "ANN/SNN", "latency")
    rows = []
    for index, outcome in enumerate(found.outcomes):
        rival, report = found.dominator(index), outcome.report
        shares = (f"{outcome.accuracy:.2%}", energy_text(report.pj), ratio_text(report.ratio))
        width = (report.bits,) if mixed else ()
        verdict = "on the frontier" if rival is None else f"dominated by {rival.name}"
        rows.append((outcome.name, outcome.group or "-", outcome.steps, *width, *shares, outcome.latency, verdict))
    report = found.outcomes[0].report
    kept = sum(point in found.frontier for point in found.points)
    lines = [
        table(("network", "neurons", *numbers, "verdict"), rows, right=numbers),
        "",
        f"{kept} of {counted(len(rows), 'network')} on the frontier of accuracy, energy and latency; model "
        f"'{report.model}', {found.bits_text} bits, {counted(report.samples, 'sample')}, recorded on "
        f"'{report.runtime}'; latency in steps until the answer",
        *dict.fromkeys(printable(line) for outcome in found.outcomes for line in outcome.report.assumptions),
    ]
    return "\n".join(lines)


_MOST = 2
"""So many kinds of neurons are told apart in one name."""


def family_of(plan: Plan) -> str:
    """The neurons and their levels, as ``M-LIF S=4``, ``ML-IF N=4``, ``LM-HT L=2``, ``One-Spike Q=1.3`` or ``LIF``.

    Empty without spiking neurons, ``mixed neurons`` with more than two kinds.
    """
    mixing = any(type(planned.node) is TemporalMix for planned in plan.nodes)
    rules = ((planned.node, spec_of(planned.node).cost.family) for planned in plan.nodes)
    found = dict.fromkeys(rule(node, mixing) for node, rule in rules if rule is not None)
    return " and ".join(found) if len(found) <= _MOST else "mixed neurons"
