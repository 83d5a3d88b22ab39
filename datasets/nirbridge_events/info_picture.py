"""A picture of recordings: where their events lie, and how many came when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from nirbridge.errors import InputError
from nirbridge.pictures import new_figure
from nirbridge.reports import counted, drawable, rate_text
from nirbridge_events.pictures import require_drawing
from nirbridge_events.recording_info import RecordingInfo, Survey

MOST_ROWS = 6
POINTS = 400
MARKED = 64
"""How many hot pixels have a ring; more would hide the map."""
ON, OFF, RING = "#e05a1e", "#266ec8", "#00a000"

Looked = tuple[RecordingInfo, Survey]


def save_picture(file: BinaryIO, looked: Sequence[Looked]) -> None:
    """Draws a row for each recording: its events by pixel, hot pixels in rings, and its rate over time.

    Raises:
        InputError: they are too many for one picture, or matplotlib is not installed.
    """
    require_drawable(len(looked))
    figure = new_figure(11, 3.9 * len(looked))
    axes = figure.subplots(len(looked), 2, squeeze=False, width_ratios=(1, 1.25))
    for (info, survey), (where, when) in zip(looked, axes, strict=True):
        _draw_map(figure, where, info, survey)
        _draw_course(when, info, survey)
    figure.savefig(file, format="png", dpi=110)


def require_drawable(recordings: int) -> None:
    """Refuses more recordings than a picture shows, and a picture without what draws it.

    Raises:
        InputError: it is so.
    """
    require_drawing(".png")
    if recordings > MOST_ROWS:
        raise InputError("picture", f"{recordings} recordings, at most {MOST_ROWS} are drawn", "Give fewer at once")


def _draw_map(figure: Any, axis: Any, info: RecordingInfo, survey: Survey) -> None:
    from matplotlib.colors import LogNorm

    whole = drawable(info.source)
    name = (whole if len(whole) <= 70 else f"...{whole[-67:]}") + (
        f", camera {info.camera}" if info.camera is not None else ""
    )
    axis.set_title(f"{name}\n{info.format}, {counted(info.events, 'event')}", fontsize=9)
    if survey.counts is None or info.hot_pixels is None:
        axis.text(0.5, 0.5, "the sensor is too large for a map", ha="center", transform=axis.transAxes)
        axis.set_axis_off()
        return
    counts = np.ma.masked_equal(survey.counts, 0)
    image = axis.imshow(counts, norm=LogNorm(1, max(2, counts.max())), cmap="magma_r", interpolation="nearest")
    figure.colorbar(image, ax=axis, fraction=0.04, pad=0.02, label="events of a pixel")
    marked = info.hot_pixels[:MARKED]
    axis.scatter([p.x for p in marked], [p.y for p in marked], s=60, facecolors="none", edgecolors=RING, linewidths=1.2)
    rings = f" (the loudest {MARKED} in rings)" if len(info.hot_pixels) > MARKED else " (in rings)" if marked else ""
    hot = counted(len(info.hot_pixels), "hot pixel") if info.hot_pixels else "no hot pixel"
    axis.set_xlabel(f"{hot}{rings}", fontsize=9)


def _draw_course(axis: Any, info: RecordingInfo, survey: Survey) -> None:
    from matplotlib.ticker import EngFormatter

    begins, rates = survey.rates.course(POINTS)
    if len(begins) > 1:
        # The last one is filled in part, and would look like a fall.
        for values, colour, name in ((rates[1], ON, "ON"), (rates[0], OFF, "OFF")):
            axis.stairs(values[:-1], begins, color=colour, label=name, linewidth=1.2)
        axis.legend(fontsize=8, loc="upper right")
    axis.set_xlim(0, max(info.duration, 1e-6))
    axis.set_ylim(bottom=0)
    axis.set_xlabel("seconds since the first event", fontsize=9)
    axis.set_ylabel("events a second", fontsize=9)
    if info.mean_rate is not None and info.peak_rate is not None:
        title = f"mean {rate_text(info.mean_rate)}, at most {rate_text(info.peak_rate)} over 10 ms"
        axis.set_title(title, fontsize=9)
    axis.yaxis.set_major_formatter(EngFormatter())
    axis.grid(alpha=0.3)
