"""The outcomes of all pieces → one evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nirbridge.evaluating.costs import Cost, cost_of
from nirbridge.evaluating.evaluation import Evaluation
from nirbridge.evaluating.running import Run
from nirbridge.evaluating.samples import all_bad
from nirbridge.evaluating.work import BAD, Judged, activity_sum, right_sum
from nirbridge.runtime import Array
from nirbridge.runtime.host import Loss, loss_text


def gathered(run: Run, pieces: Sequence[Judged], seconds: float, resumed: int) -> Evaluation:
    """All pieces together, in the order of the samples.

    Raises:
        InputError: every sample is bad.
    """
    bad = {piece.first + place: text for piece in pieces for place, text in piece.bad.items()}
    if len(bad) == run.count:
        raise all_bad(*next(iter(bad.items())))
    spikes = _joined([piece.spikes for piece in pieces], np.int64)
    right = right_sum([piece.right_by_step for piece in pieces])
    return Evaluation(
        judge=run.first.name,
        classes=run.classes,
        all_predictions={
            judge.name: _joined([piece.predictions[judge.name] for piece in pieces], np.int64) for judge in run.judges
        },
        labels=None if run.labels is None else run.labels[: run.count],
        scores=_scores(pieces, run.classes),
        steps=_joined([piece.steps for piece in pieces], np.int64),
        spikes=None if (spikes == BAD).all() else spikes,
        milliseconds=_joined([piece.milliseconds for piece in pieces], np.float64),
        by_step=None if run.labels is None else right / (run.count - len(bad)),
        cost=_cost(run, pieces),
        files=_files(run),
        bad=bad,
        lost={piece.first + place: text for piece in pieces for place, text in piece.lost.items()},
        notes=(
            *_filter_lines(pieces),
            *_lost_lines(run, pieces),
            *dict.fromkeys(text for piece in pieces for text in piece.remarks),
        ),
        seconds=seconds,
        resumed=resumed,
    )


def _joined(parts: Sequence[list[int] | list[float]], dtype: type) -> Array:
    return np.concatenate([np.array(part, dtype=dtype) for part in parts])


def _scores(pieces: Sequence[Judged], classes: int) -> Array:
    """[N, classes]; taken out of the pieces, so that no two of them are in memory at once."""
    scores = np.full((sum(map(len, pieces)), classes), np.nan)
    for piece in pieces:
        if piece.scores.shape[1]:
            scores[piece.first : piece.first + len(piece)] = piece.scores
        piece.scores = piece.scores[:, :0].copy()
    return scores


def _files(run: Run) -> tuple[str, ...]:
    names = tuple(run.samples.name(number) for number in range(run.count))
    return names if any(names) else ()


def _cost(run: Run, pieces: Sequence[Judged]) -> Cost | None:
    meter = run.first.meter
    return None if meter is None else cost_of(meter, activity_sum([p.activity for p in pieces]), run.first.runtime)


def _filter_lines(pieces: Sequence[Judged]) -> list[str]:
    """What each filter of events took out, over all recordings."""
    total: dict[str, list[int]] = {}
    for piece in pieces:
        for text, counts in piece.filtered.items():
            found = total.setdefault(text, [0, 0])
            found[:] = (a + b for a, b in zip(found, counts, strict=True))
    return [
        f"filter {text}: {removed:,} of {events:,} events were taken out ({removed / max(1, events):.1%})."
        for text, (events, removed) in total.items()
    ]


def _lost_lines(run: Run, pieces: Sequence[Judged]) -> list[str]:
    """What the host rounded and cut of the data, over all samples."""
    total: dict[str, Loss] = {}
    for piece in pieces:
        for name, loss in piece.losses.items():
            total.setdefault(name, Loss()).add(loss)
    found = ((run.plan[name], loss) for name, loss in total.items())
    return [f"{planned}: {text}." for planned, loss in found if (text := loss_text(planned.node, loss))]
