"""The decision while it is made: mean scores so far, or those of a phase code at the end of each window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nirbridge.costing.readout import running_scores, windows_of
from nirbridge.pictures.names import short_name
from nirbridge.pictures.palette import CYCLE, PALE
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.panel import Panel, Space, dots, draw_key
from nirbridge.reports import counted
from nirbridge.runtime import Array

MOST_NAMED = 5
MOST_LINES = 60


@dataclass(frozen=True)
class Score:
    """The scores of one output.

    Attributes:
        times: [n], where they stand on the time axis.
        scores: [n, classes], see :func:`~nirbridge.costing.readout.running_scores`.
        decided: [n], the steps at which a decision stands: all, or the last of each window.
        windows: of a phase code; None for another network.
    """

    times: Array
    scores: Array
    decided: Array
    windows: int | None

    @property
    def words(self) -> str:
        """What the scores are."""
        if self.windows is None:
            return "mean so far"
        several = "" if self.windows == 1 else ", mean of the windows"
        return f"sum of the phases{several}, squares decide"

    @property
    def decisions(self) -> Array:
        """The class with the largest score, at each decided step."""
        found: Array = self.scores[self.decided].argmax(axis=1)
        return found

    def decision_at(self, time: float) -> int | None:
        """The last decision that stands at ``time`` of the axis; None before the first."""
        made = self.decisions[self.times[self.decided] <= time]
        return int(made[-1]) if made.size else None


def running_score(activity: Activity, name: str) -> Score | None:
    """The scores of an output, as ``nirbridge evaluate`` decides by them; None for what is no vector of classes."""
    planned, y = activity.plan[name], np.asarray(activity.outputs[name], dtype=np.float64)
    if y.ndim != 2 or y.shape[1] < 2:
        return None
    windows = windows_of(activity.plan, len(next(iter(activity.inputs.values()))))
    scores = running_scores(y[:, None], windows)[:, 0]
    every = 1 if windows is None else len(y) // windows
    decided = np.arange(1, len(y) + 1) % every == 0
    return Score(activity.clock.times(len(y), planned.rate), scores, decided, windows)


def score_panel(activity: Activity, name: str) -> Panel | None:
    """The best classes in colour and by name, the others pale."""
    score = running_score(activity, name)
    if score is None:
        return None
    final = score.scores[np.flatnonzero(score.decided)[-1]]
    order = np.argsort(-final, kind="stable")
    best = order[:MOST_NAMED]
    others = order[MOST_NAMED:MOST_LINES]

    def draw(space: Space) -> None:
        for number in others:
            space.axis.plot(score.times, score.scores[:, number], color=PALE, lw=0.7, gid="score")
        entries = []
        for place, number in reversed(list(enumerate(best))):
            style = {"lw": 2.2 if place == 0 else 1.2, "color": CYCLE[place], "gid": "score"}
            (line,) = space.axis.plot(score.times, score.scores[:, number], **style, **dots(score.times))
            entries.append((line, f"class {number}: {final[number]:.3g}"))
            if score.windows is not None:
                at = score.decided
                space.axis.plot(score.times[at], score.scores[at, number], "s", ms=5, color=CYCLE[place])
        space.axis.set_ylabel("score" if score.windows else "mean score")
        draw_key(space, entries[::-1], "decision: final score")

    words = score.words
    if len(order) > MOST_LINES:
        words += f", the best {MOST_LINES} of {counted(len(order), 'class', 'classes')}"
    return Panel(f"score of {short_name(name)}: {words}, class {best[0]} at the end", 1.8, draw)
