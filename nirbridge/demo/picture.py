"""The demo as one picture: digits, what the sensor saw, what the network decided and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.demo.run import DemoResult, Streamed
from nirbridge.demo.scene import EVENT_INPUT, frames
from nirbridge.pictures import new_figure, save_figure

SHOWN = 4
_LEVELS = ("#ffffff", "#c6dbef", "#4292c6", "#08306b")
_WRONG, _RIGHT = "#b2182b", "#1a7837"


def draw(result: DemoResult, path: Path) -> None:
    """Writes the picture: a row for each of the first digits, and the latencies of all decisions below."""
    rows = result.streamed[:SHOWN]
    figure = new_figure(11, 1.55 * len(rows) + 2.4)
    grid = figure.add_gridspec(
        len(rows) + 1, 6, width_ratios=(1, 1, 1, 1, 1, 2.4), height_ratios=(*[1] * len(rows), 1.1)
    )
    for row, digit in enumerate(rows):
        _digit_row(figure, grid, row, digit)
    _latency_row(figure, grid[len(rows), :], result)
    figure.suptitle(
        f"nirbridge demo: {len(result.streamed)} digits streamed through '{result.runtime}', "
        f"{result.accuracy:.0%} right after 90 ms of events"
    )
    _legend(figure)
    save_figure(figure, path)


def _legend(figure: Any) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, edgecolor="#999999", label=label)
        for colour, label in zip(
            _LEVELS, ("no event", "lane 0: value 1", "lane 1: value 2", "lane 2: value 4"), strict=True
        )
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=4, fontsize=9, frameon=False)


def _digit_row(figure: Any, grid: Any, row: int, digit: Streamed) -> None:
    from matplotlib.colors import ListedColormap

    axis = figure.add_subplot(grid[row, 0])
    axis.imshow(digit.image, cmap="gray")
    axis.set_ylabel(f"class {digit.label}", fontsize=11)
    axis.set_title("digit" if row == 0 else "", fontsize=10)
    film_frames = frames(digit.events)
    for column, step in enumerate((0, 2, 4, 7), start=1):
        lanes = np.ceil(np.log2(film_frames[step].max(axis=0) + 1))  # 0, 1, 2, 4 → 0, 1, 2, 3
        axis = figure.add_subplot(grid[row, column])
        axis.imshow(lanes, cmap=ListedColormap(_LEVELS), vmin=-0.5, vmax=3.5)
        axis.set_title(f"frame {step} ({(step + 1) * EVENT_INPUT.window // 1000} ms)" if row == 0 else "", fontsize=10)
    for axis in figure.axes[-5:]:
        axis.set(xticks=[], yticks=[])
    scores = np.array(digit.scores)
    axis = figure.add_subplot(grid[row, 5])
    ends = (np.arange(len(scores)) + 1) * EVENT_INPUT.window / 1000
    for k in range(scores.shape[1]):
        chosen = k == digit.decision
        colour = (_RIGHT if digit.decision == digit.label else _WRONG) if chosen else "#bbbbbb"
        axis.plot(ends, scores[:, k], color=colour, lw=2.2 if chosen else 0.8, zorder=3 if chosen else 2)
    beside = {"xycoords": axis.get_yaxis_transform(), "textcoords": "offset points", "va": "center"}
    axis.annotate(f"{digit.decision}", (1, scores[-1, digit.decision]), (4, 0), **beside)
    axis.set_ylabel("mean score", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.set_title("decision over time" if row == 0 else "", fontsize=10)
    axis.set_xlabel("ms of events" if row == SHOWN - 1 else "", fontsize=9)


def _latency_row(figure: Any, place: Any, result: DemoResult) -> None:
    axis = figure.add_subplot(place)
    latencies = result.latencies
    axis.hist(latencies, bins=40, color="#4292c6")
    above = {"xycoords": axis.get_xaxis_transform(), "textcoords": "offset points"}
    for percentile, side in ((50, "right"), (99, "left")):  # away from each other, however close they are
        value = float(np.percentile(latencies, percentile))
        axis.axvline(value, color="#333333", lw=1, ls=":")
        axis.annotate(f"p{percentile} {value:.1f} ms", (value, 1), (0, 4), ha=side, **above)
    axis.set_xlabel("latency from the end of a window to its decision, ms")
    axis.set_ylabel("decisions")
