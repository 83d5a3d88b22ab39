"""One piece of an evaluation: some samples through every judge, in whatever process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from nirbridge.costing.activity import Activity, Traffic
from nirbridge.errors import InputError
from nirbridge.evaluating.judges import Decided, GraphJudge, Judge
from nirbridge.evaluating.samples import Batch, Part
from nirbridge.runtime import Array
from nirbridge.runtime.host import Loss

BAD = -1
"""The prediction of a sample that could not be read, and a count that is not known."""
_NO_DECISION = "its scores are NaN or infinite: sums left the range of numbers"
_UNDECIDED = "scores of some samples are NaN or infinite; it decides none of those, which counts as wrong."


@dataclass(frozen=True)
class Piece:
    """Some samples of a data set.

    Attributes:
        first: number of the first one.
        count: how many.
        part: loads them.
        labels: their classes, if known.
    """

    first: int
    count: int
    part: Part
    labels: Array | None


@dataclass
class Judged:
    """What became of a piece; numbers, so that it can be kept in a file.

    Attributes:
        first: number of the first sample.
        predictions: of each judge, by name, the class of each sample, or ``BAD``.
        scores: [B, classes] of the first judge, NaN for a bad sample; [B, 0] where all are bad.
        steps: of each sample.
        spikes: of each sample, or ``BAD``.
        milliseconds: of each sample, its share of the run.
        right_by_step: samples that the first judge has right after each output step; of a sample that is shorter its
            last decision stays.
        activity: sums for the energy, by input steps.
        losses: what the host lost of the data, by node.
        bad: why samples could not be read, by their number in the piece.
        lost: what was left out of samples, by their number in the piece.
        filtered: of each filter of events, by its text, how many came to it and how many it took out.
        remarks: warnings of the runtimes.
    """

    first: int
    predictions: dict[str, list[int]]
    scores: Array
    steps: list[int]
    spikes: list[int]
    milliseconds: list[float]
    right_by_step: list[int] = field(default_factory=list)
    activity: dict[int, Activity] = field(default_factory=dict)
    losses: dict[str, Loss] = field(default_factory=dict)
    bad: dict[int, str] = field(default_factory=dict)
    lost: dict[int, str] = field(default_factory=dict)
    filtered: dict[str, tuple[int, int]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)


def judge_piece(judges: Sequence[Judge], piece: Piece) -> Judged:
    """Loads a piece and asks every judge; the first one's scores, spikes and energy are kept."""
    batch = piece.part()
    found = _nothing(judges, piece, batch)
    batch, decisions = _decisions(judges, batch, found.bad)
    for judge, decided in zip(judges, decisions, strict=False):
        found.remarks = tuple(dict.fromkeys((*found.remarks, *decided.remarks)))
        if judge is judges[0]:
            clear = decided.clear
            found.bad |= dict.fromkeys(batch.places[~clear].tolist(), _NO_DECISION)
            _keep(found, decided, batch, piece.labels, clear)
        elif not decided.clear[clear].all():
            found.remarks = tuple(dict.fromkeys((*found.remarks, f"'{judge.name}': {_UNDECIDED}")))
        predictions = np.where(clear & decided.clear, decided.scores.argmax(axis=1), BAD)
        for place, prediction in zip(batch.places.tolist(), predictions.tolist(), strict=True):
            found.predictions[judge.name][place] = prediction
    return found


def _decisions(judges: Sequence[Judge], batch: Batch, bad: dict[int, str]) -> tuple[Batch, list[Decided]]:
    """The samples that every judge takes, and what each says; the others go to ``bad``.

    Raises:
        InputError: a judge takes none for another reason than its numbers, or tells other classes apart.
    """
    try:
        decisions = [judge.decide(batch) for judge in judges] if len(batch) else []
    except InputError:
        graphs = [judge for judge in judges if isinstance(judge, GraphJudge)]  # a module's errors are of its code
        refused = {place: text for judge in graphs for place, text in judge.refused(batch).items()}
        if not refused:
            raise
        bad |= refused
        return _decisions(judges, batch.only(~np.isin(batch.places, list(refused))), bad)
    for judge, decided in zip(judges, decisions, strict=False):
        own, first = decided.scores.shape[1], decisions[0].scores.shape[1]
        if own != first:
            found = f"gives scores of {own} classes, '{judges[0].name}' of {first}"
            raise InputError(f"'{judge.name}'", found, "Compare networks of the same classes")
    return batch, decisions


def _nothing(judges: Sequence[Judge], piece: Piece, batch: Batch) -> Judged:
    count = piece.count
    return Judged(
        first=piece.first,
        predictions={judge.name: [BAD] * count for judge in judges},
        scores=np.empty((count, 0)),
        steps=[0] * count,
        spikes=[BAD] * count,
        milliseconds=[0.0] * count,
        bad=dict(batch.bad),
        lost=dict(batch.losses),
        filtered=dict(batch.filtered),
    )


def _keep(found: Judged, decided: Decided, batch: Batch, labels: Array | None, clear: Array) -> None:
    """Keeps what the first judge says, of samples that it can decide."""
    share = decided.seconds * 1e3 / len(batch)
    found.scores = np.full((len(found), decided.scores.shape[1]), np.nan)
    found.scores[batch.places[clear]] = decided.scores[clear]
    for row, place in zip(np.flatnonzero(clear).tolist(), batch.places[clear].tolist(), strict=True):
        found.steps[place] = int(batch.steps[row])
        found.milliseconds[place] = share
        if decided.spikes is not None:
            found.spikes[place] = int(decided.spikes[row])
    found.activity, found.losses = decided.activity, decided.losses
    if labels is not None and decided.decisions is not None:
        right = decided.decisions == labels[batch.places]
        found.right_by_step = right[:, clear].sum(axis=1).tolist()


def to_plain(judged: Judged) -> dict[str, Any]:
    """A piece's outcome for JSON, of which :func:`from_plain` makes the same again, to the bit."""
    return {**asdict(judged), "scores": judged.scores.tolist()}


def from_plain(data: dict[str, Any]) -> Judged:
    """See :func:`to_plain`."""
    return Judged(
        **{
            **data,
            "scores": np.array(data["scores"], dtype=np.float64),
            "activity": {int(steps): _activity(found) for steps, found in data["activity"].items()},
            "losses": {name: Loss(**loss) for name, loss in data["losses"].items()},
            "bad": {int(place): text for place, text in data["bad"].items()},
            "lost": {int(place): text for place, text in data["lost"].items()},
            "filtered": {text: (events, removed) for text, (events, removed) in data["filtered"].items()},
            "remarks": tuple(data["remarks"]),
        }
    )


def _activity(data: dict[str, Any]) -> Activity:
    tables = {
        table: {name: Traffic(**found) for name, found in data[table].items()}
        for table in ("entering", "leaving", "direct")
    }
    return Activity(**{**data, **tables})


def activity_sum(parts: Sequence[dict[int, Activity]]) -> dict[int, Activity]:
    """The sums of several pieces, by input steps."""
    total: dict[int, Activity] = {}
    for part in parts:
        for steps, found in part.items():
            total.setdefault(steps, Activity(0, found.steps, found.inferences)).add(found)
    return total


def right_sum(parts: Sequence[list[int]]) -> Array:
    """Right decisions after each step over several pieces; a piece with fewer steps keeps its last ones."""
    longest = max(map(len, parts), default=0)
    total = np.zeros(longest, dtype=np.int64)
    for part in parts:
        if part:
            total += np.array(part + [part[-1]] * (longest - len(part)))
    return total
