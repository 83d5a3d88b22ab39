"""All panels below each other on one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nirbridge.pictures import new_figure
from nirbridge.pictures.palette import INK
from nirbridge.plotting.clock import Clock
from nirbridge.plotting.panel import Panel, Space

WIDTH = 8.6
_KEY_SHARE, _HEAD, _ROW_HEAD = 0.2, 1.15, 0.32
_POINTS = 72
_MANY_TICKS = 12
_PLOTTED = 0.70
"""About the share of the width that the time axes get."""


@dataclass(frozen=True)
class Sheet:
    """A drawn figure.

    Attributes:
        figure: of matplotlib.
        axes: of the panels, from top to bottom.
    """

    figure: Any
    axes: tuple[Any, ...]


def draw_sheet(panels: Sequence[Panel], clock: Clock, title: str) -> Sheet:
    """Draws the panels, each with its key at the right."""
    heights = [panel.height for panel in panels]
    figure = new_figure(WIDTH, sum(heights) + _ROW_HEAD * len(panels) + _HEAD)
    figure.get_layout_engine().set(h_pad=0.03, w_pad=0.04)
    grid = figure.add_gridspec(len(panels), 2, width_ratios=(1 - _KEY_SHARE, _KEY_SHARE), height_ratios=heights)
    axes: list[Any] = []
    for row, panel in enumerate(panels):
        axis = figure.add_subplot(grid[row, 0], sharex=axes[0] if axes else None)
        key = figure.add_subplot(grid[row, 1])
        key.set_axis_off()
        panel.draw(Space(axis, key, clock, _POINTS * WIDTH * _PLOTTED, _POINTS * panel.height * 0.85))
        _dress(axis, panel.title, last=row == len(panels) - 1)
        axes.append(axis)
    _time_axes(axes, clock)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=INK)
    return Sheet(figure, tuple(axes))


def _dress(axis: Any, title: str, last: bool) -> None:
    axis.set_title(title, loc="left", fontsize=9, color=INK, pad=4)
    axis.tick_params(labelsize=8, labelbottom=last, length=2.5)
    if len(axis.get_yticks()) > _MANY_TICKS:
        axis.tick_params(axis="y", labelsize=7)
    axis.yaxis.label.set_size(8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.spines[["left", "bottom"]].set_linewidth(0.6)


def _time_axes(axes: Sequence[Any], clock: Clock) -> None:
    """Steps below, seconds above."""
    from matplotlib.ticker import MaxNLocator

    axes[0].set_xlim(-0.5, clock.steps - 0.5)
    axes[0].xaxis.set_major_locator(MaxNLocator(10, integer=True, min_n_ticks=1))
    axes[-1].set_xlabel(clock.words, fontsize=8)
    factor, unit = clock.unit
    above = axes[0].secondary_xaxis("top", functions=(lambda step: step * factor, lambda time: time / factor))
    above.tick_params(labelsize=8, length=2.5)
    above.set_xlabel(f"time, {unit}", fontsize=8)
    above.set_zorder(axes[0].get_zorder() + 1)
