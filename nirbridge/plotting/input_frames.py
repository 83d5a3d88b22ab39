"""The frames of an input as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nirbridge.pictures import polarity_image
from nirbridge.plotting.activity import Activity
from nirbridge.runtime import Array


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
