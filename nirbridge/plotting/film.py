"""A picture that grows with time: the input's frames at the left, the panels up to the step at the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nirbridge.pictures import new_figure, polarity_image
from nirbridge.pictures.saving import DPI, pixels_of
from nirbridge.plotting.activity import Activity
from nirbridge.plotting.clock import Clock
from nirbridge.plotting.figure import draw_sheet
from nirbridge.plotting.panel import LASTING, Panel
from nirbridge.plotting.score import running_score
from nirbridge.runtime import Array

MOST_PICTURES = 300
"""More steps than these are several a picture."""
_SIDE = 3.2
_CAPTION = 0.75
"""Inches above and below the frame."""


def steps_a_picture(clock: Clock) -> int:
    """How far the time axis goes from one picture to the next."""
    return -(-clock.steps // MOST_PICTURES)


class Film:
    """The pictures of a film.

    The panels are drawn twice, with and without their data; a picture takes its left part from the one and its right
    part from the other, which costs a hundredth of drawing it.

    Attributes:
        steps: the last step that each picture shows.
    """

    def __init__(self, activity: Activity, panels: Sequence[Panel], title: str) -> None:
        self._activity = activity
        sheet = draw_sheet(panels, activity.clock, title)
        self._whole = pixels_of(sheet.figure)
        self._axis = sheet.axes[0]
        _hide_data(sheet.axes)
        self._bare = pixels_of(sheet.figure)
        self._score = next(filter(None, (running_score(activity, name) for name in activity.plan.outputs)), None)
        frames = input_frames(activity)
        self._side = None if frames is None else _Side(frames, len(self._whole))
        stride = steps_a_picture(activity.clock)
        last = activity.clock.steps - 1
        self.steps = [*range(stride - 1, last, stride), last]

    def picture(self, step: int) -> Array:
        """RGB [height, width, 3], all up to ``step`` of the time axis."""
        edge = self.edge(step)
        panels = np.concatenate((self._whole[:, :edge], self._bare[:, edge:]), axis=1)
        if self._side is None:
            return panels
        number = int(step / self._activity.clock.finest)
        return np.concatenate((self._side.picture(number, self._caption(step, number)), panels), axis=1)

    def edge(self, step: int) -> int:
        """The first column of the panels that comes after ``step``."""
        return int(np.ceil(self._axis.transData.transform((step + 0.5, 0.0))[0]))

    def _caption(self, step: int, number: int) -> str:
        factor, unit = self._activity.clock.unit
        lines = [f"input frame {number}, {(step + 1) * factor:.4g} {unit}"]
        if self._score is not None:
            decision = self._score.decision_at(step)
            lines.append("no decision yet" if decision is None else f"decision so far: class {decision}")
        return "\n".join(lines)


class _Side:
    """The frame of the input, as high as the panels."""

    def __init__(self, frames: InputFrames, height: int) -> None:
        self._frames = frames.pictures
        self._figure = new_figure(_SIDE, height / DPI)
        self._figure.set_layout_engine("none")
        rows, columns = self._frames.shape[1:3]
        wide = _SIDE - 0.3
        high = min(wide * rows / columns, height / DPI - 2 * _CAPTION)
        bottom = (height / DPI - high) / 2
        place = (0.2 / _SIDE, bottom * DPI / height, wide / _SIDE, high * DPI / height)
        axis = self._figure.add_axes(place)
        axis.set(xticks=[], yticks=[])
        self._image = axis.imshow(self._frames[0], interpolation="nearest")
        self._title = axis.set_title("", fontsize=9, loc="left")
        axis.set_xlabel(frames.words, fontsize=8, loc="left")

    def picture(self, number: int, caption: str) -> Array:
        self._image.set_data(self._frames[number])
        self._title.set_text(caption)
        return pixels_of(self._figure)


def _hide_data(axes: Sequence[Any]) -> None:
    """Leaves what holds at all times."""
    for axis in axes:
        for artist in (*axis.lines, *axis.images):
            artist.set_visible(artist.get_gid() in LASTING)


@dataclass(frozen=True)
class InputFrames:
    """What an animation shows of the input.

    Attributes:
        pictures: [T, H, W, 3], RGB.
        words: what the colours mean.
    """

    pictures: Array
    words: str


def input_frames(activity: Activity) -> InputFrames | None:
    """Of the first input whose frames are pictures: [H, W], or one or two channels of it; None where there is none."""
    for x in activity.inputs.values():
        if x.ndim == 4 and x.shape[1] == 2 and x.min() >= 0:
            top = float(x.max()) or 1.0
            pictures = np.stack([polarity_image(frame, top) for frame in x])
            return InputFrames(pictures, "ON orange, OFF blue, both violet")
        if x.ndim == 3 or (x.ndim == 4 and x.shape[1] == 1):
            return _grey(np.asarray(x if x.ndim == 3 else x[:, 0], dtype=np.float64))
    return None


def _grey(x: Array) -> InputFrames:
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    shade = np.rint(255 * (1 - (x - low) / (high - low or 1.0))).astype(np.uint8)
    return InputFrames(np.repeat(shade[..., None], 3, axis=-1), f"white is {low:.3g}, black {high:.3g}")
