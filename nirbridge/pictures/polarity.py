"""Frames of events as coloured pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
ON, OFF, BOTH, GROUND = (224, 90, 30), (38, 110, 200), (60, 20, 70), (255, 255, 255)
"""Orange and blue, which all eyes tell apart."""
FAINTEST = 0.35
"""Strength of the smallest value, so that a single event is seen beside many."""


def polarity_image(values: npt.NDArray[Any], largest: float | None = None, faintest: float = FAINTEST) -> Image:
    """Channels [P, H, W] as RGB [H, W, 3]: ON, OFF, or both, on white, stronger where the value is larger.

    Args:
        values: one channel, or OFF and ON.
        largest: the value of full strength; by default the largest of the frame.
        faintest: strength of the smallest value; 0 where what decays to nothing is to be seen to.
    """
    off, on = (np.zeros_like(values[0]), values[0]) if len(values) == 1 else (values[0], values[1])
    both = np.maximum(off, on)
    top = float(both.max(initial=0)) if largest is None else largest
    strength = np.where(both > 0, faintest + (1 - faintest) * both / max(top, 1e-9), 0)[..., None]
    colour = np.where((on > 0)[..., None], np.where((off > 0)[..., None], BOTH, ON), OFF)
    return np.asarray(np.rint(GROUND + (colour - np.asarray(GROUND)) * strength), dtype=np.uint8)
