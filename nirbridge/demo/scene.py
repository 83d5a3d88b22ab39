"""Handwritten digits in front of a simulated event sensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import EventInput
from nirbridge_events import Events, FrameEncoder, moving_image, saccades

SENSOR = 32
DIGIT_SCALE = 3
SACCADE_US = 29_999  # three of them end just before the ninth window does
TRAINING = 1_297
STEPS = 9
EVENT_INPUT = EventInput(
    shape=(2, 16, 16), sensor_size=(SENSOR, SENSOR), window=10_000, subframes=4, lanes=3, coding="one-hot"
)
"""90 ms of a digit make nine frames of 16x16 with three lanes: 1, 2 or 4 of the four 2.5 ms parts saw an event."""


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The 1797 digits of scikit-learn as light [N, 8, 8] in 0..1, and their classes [N], shuffled with a fixed seed."""
    from sklearn.datasets import load_digits

    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    return found.images[order] / 16, found.target[order].astype(np.int64)


def film(image: NDArray[np.float64]) -> Events:
    """What the sensor sees of one digit: three saccades of 30 ms."""
    light = np.zeros((SENSOR, SENSOR))
    large = np.kron(image, np.ones((DIGIT_SCALE, DIGIT_SCALE)))
    margin = (SENSOR - len(large)) // 2
    light[margin : margin + len(large), margin : margin + len(large)] = large
    path, times = saccades(amplitude=6.0, duration=SACCADE_US, steps=12)
    return moving_image(light, path, times, threshold=0.4)


def frames(events: Events) -> NDArray[Any]:
    """[STEPS, 2, 16, 16] of one film; the grid of windows begins at time 0, so that every film has as many."""
    encoder = FrameEncoder.from_node(EVENT_INPUT, start=0)
    found = [window.frame for window in encoder.encode([events])]
    padded = np.zeros((STEPS, *EVENT_INPUT.shape), np.float32)
    padded[: len(found)] = found[:STEPS]
    return padded
