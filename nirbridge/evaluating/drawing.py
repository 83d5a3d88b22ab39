"""Pictures of an evaluation."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from nirbridge.evaluating.figures import Figures
from nirbridge.pictures import new_figure, save_figure
from nirbridge.reports import counted
from nirbridge.runtime import Array

_WITH_NUMBERS = 20
"""Classes up to which each cell says its count and each class its number."""
_ROOM_BELOW = 25
"""Points of accuracy above chance with which two lines of text fit between that and the curve."""
_BLUE, _ORANGE, _GREY = "#2166ac", "#e0812c", "#666666"


def draw_evaluation(found: Figures, path: str | os.PathLike[str]) -> None:
    """The confusion matrix, and beside it the accuracy over the steps where there are several.

    Raises:
        FileError: the file cannot be written.
    """
    assert found.confusion is not None, "labels are known"
    steps = found.by_step is not None and len(found.by_step) > 1
    figure = new_figure(11.5 if steps else 6.4, 5.6)
    axes = figure.subplots(1, 2 if steps else 1, squeeze=False, width_ratios=(1.15, 1) if steps else None)[0]
    _draw_confusion(figure, axes[0], found.confusion)
    if steps:
        _draw_steps(axes[1], found)
    low, high = found.interval or (0.0, 0.0)
    figure.suptitle(
        f"{found.accuracy:.2%} of {counted(found.samples, 'sample')} right (95 % interval {low:.1%} to {high:.1%}), "
        f"on '{found.judge}'",
        fontsize=11,
    )
    save_figure(figure, path)


def _draw_confusion(figure: Any, axis: Any, matrix: Array) -> None:
    """Rows are labels; colour is the share of the row, so that rare classes are seen as well as frequent ones."""
    shares = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(matrix) <= _WITH_NUMBERS:
        size = 9 if len(matrix) <= 12 else 6
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if shares[row, column] > 0.5 else "#1a1a1a"
                axis.text(column, row, f"{count:,}", ha="center", va="center", fontsize=size, color=color)
        axis.set_xticks(range(len(matrix)))
        axis.set_yticks(range(len(matrix)))
    axis.set_xlabel("decision")
    axis.set_ylabel("label")
    figure.colorbar(image, ax=axis, shrink=0.8, label="share of the label's samples")


def _draw_steps(axis: Any, found: Figures) -> None:
    assert found.by_step is not None, "labels are known"
    steps = np.arange(1, len(found.by_step) + 1)
    marker = "o" if len(steps) <= 40 else None
    axis.plot(steps, found.by_step * 100, color=_BLUE, marker=marker, markersize=4)
    left = found.settled is not None and found.settled > len(steps) / 2
    chance = 100 / found.classes
    if found.settled is not None:
        at = found.by_step[found.settled - 1] * 100
        below = (at - chance) * (0.25 if left else 0.5)  # on the left the curve still rises
        y, shift = (chance + below, -6) if at - chance > _ROOM_BELOW else (max(at, chance), 22)
        axis.axvline(found.settled, color=_ORANGE, lw=1, ls="--")
        axis.annotate(
            f"within 1 % of the last\nfrom step {found.settled} on",
            (found.settled, y),
            (-8 if left else 8, shift),
            textcoords="offset points",
            ha="right" if left else "left",
            color=_ORANGE,
            fontsize=9,
        )
    axis.axhline(chance, color=_GREY, lw=0.8, ls=":")
    axis.annotate("chance", (steps[-1], chance), (0, 4), textcoords="offset points", ha="right", fontsize=8)
    axis.set_ylim(0, 102)
    axis.set_xlim(left=min(1, steps[0]) - 0.02 * len(steps))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_xlabel("output step")
    axis.set_ylabel("accuracy so far, %")
    axis.grid(alpha=0.25)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
