"""A simulated event sensor with an image moved in front of it.

Each pixel is the ideal model of a dynamic vision sensor.  With the light I(x, y, t) in front of it,

    L(x, y, t) = ln(I(x, y, t) + floor)

it keeps a reference level R = L(x, y, t_0) + mθ, at first with m = 0.  Whenever L reaches R + θ it sends an ON event
and m grows by 1; whenever L reaches R - θ it sends an OFF event and m falls by 1.  Reached means to within 1e-6 θ, so
that rounding does not decide whether an image that comes back to its place brings R back to its start.  Between two
positions of the path L is taken to run straight in time, and an event comes at the µs in which the level is crossed.
There is no noise, no mismatch between pixels and no refractory time, so equal arguments give equal events.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TOLERANCE = 1e-6


def saccades(
    amplitude: float = 4.0, duration: int = 100_000, steps: int = 50
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Three straight saccades around a triangle and back to its first corner, as N-MNIST was recorded.

    Args:
        amplitude: width and height of the triangle in pixels.
        duration: length of one saccade in µs.
        steps: positions per saccade.

    Returns:
        path [3·steps + 1, 2], offsets (dx, dy) in pixels, and their times [3·steps + 1] in µs from 0.
    """
    corners = amplitude * np.array([(-0.5, -0.5), (0.0, 0.5), (0.5, -0.5), (-0.5, -0.5)])
    along = np.arange(3 * steps + 1) / steps
    path = np.stack([np.interp(along, np.arange(4), corners[:, axis]) for axis in (0, 1)], axis=1)
    return path, np.round(along * duration).astype(np.int64)


def moving_image(
    image: npt.NDArray[Any],
    path: npt.NDArray[Any],
    times: npt.NDArray[Any],
    threshold: float = 0.2,
    floor: float = 0.1,
    background: float = 0.0,
) -> Events:
    """The events of a sensor [H, W] before which an image moves along a path.

    At position (dx, dy) pixel (x, y) sees the image at (x - dx, y - dy), bilinearly; outside the image there is
    ``background``.  The module's docstring gives the pixel's equation.

    Args:
        image: light [H, W], not negative.
        path: (dx, dy) in pixels [K, 2], K >= 2.
        times: µs [K], growing.
        threshold: θ, the contrast of one event.
        floor: light added before the logarithm; it bounds the contrast against a dark background.
        background: light around the image.

    Returns:
        events in order of time, then row, then column.

    Raises:
        InputError: an argument has the wrong shape or range.
    """
    light, path, times = _checked(image, path, times, threshold, floor, background)
    levels = [np.log(_shifted(light, dx, dy, background) + floor) for dx, dy in path]
    quanta = [(level - levels[0]) / threshold for level in levels]
    reference, runs = np.zeros(light.shape, dtype=np.int64), []
    for k in range(len(path) - 1):
        runs.append(_crossings(reference, quanta[k], quanta[k + 1], (int(times[k]), int(times[k + 1]))))
    events = Events.concatenate(runs)
    return events.select(np.lexsort((events.x, events.y, events.t)))


def _crossings(reference: IntArray, old: FloatArray, new: FloatArray, span: tuple[int, int]) -> Events:
    """The events between two positions, in units of θ; moves ``reference`` (m) on."""
    highest, lowest = np.floor(new + TOLERANCE), np.ceil(new - TOLERANCE)
    target = np.where(highest > reference, highest, np.where(lowest < reference, lowest, reference)).astype(np.int64)
    y, x = np.nonzero(target - reference)
    change = (target - reference)[y, x]
    count = np.abs(change)
    which = np.repeat(np.arange(len(count)), count)
    nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 1
    rows, columns, sign = y[which], x[which], np.sign(change)[which]
    start, end = old[rows, columns], new[rows, columns]
    crossed = reference[rows, columns] + sign * nth
    fraction = np.clip((crossed - start) / (end - start), 0.0, 1.0)
    t = span[0] + np.floor(fraction * (span[1] - span[0])).astype(np.int64)
    reference[:] = target
    return Events(columns.astype(np.uint16), rows.astype(np.uint16), t, (sign > 0).astype(np.uint8))


def _shifted(image: FloatArray, dx: float, dy: float, background: float) -> FloatArray:
    """The image moved by (dx, dy): a mean of its four nearest whole-pixel moves, weighted bilinearly."""
    left, up = int(np.floor(dx)), int(np.floor(dy))
    fx, fy = dx - left, dy - up
    moved = np.zeros_like(image)
    for i, wy in ((0, 1 - fy), (1, fy)):
        for j, wx in ((0, 1 - fx), (1, fx)):
            moved += wy * wx * _rolled(image, left + j, up + i, background)
    return moved


def _rolled(image: FloatArray, dx: int, dy: int, background: float) -> FloatArray:
    height, width = image.shape
    out = np.full_like(image, background)
    if abs(dx) < width and abs(dy) < height:
        out[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = image[
            max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
        ]
    return out


def _checked(
    image: npt.NDArray[Any],
    path: npt.NDArray[Any],
    times: npt.NDArray[Any],
    threshold: float,
    floor: float,
    background: float,
) -> tuple[FloatArray, FloatArray, IntArray]:
    light, way = np.asarray(image, dtype=np.float64), np.asarray(path, dtype=np.float64)
    clock = np.asarray(times, dtype=np.int64)
    if light.ndim != 2 or not np.isfinite(light).all() or (light < 0).any() or background < 0:
        raise InputError(
            "image", f"shape {light.shape} or its light is wrong", "Give finite light >= 0 of shape [H, W]"
        )
    if way.ndim != 2 or way.shape[1] != 2 or len(way) < 2 or clock.shape != way.shape[:1] or not np.isfinite(way).all():
        found = f"path of shape {way.shape} with {clock.shape} times"
        raise InputError("path", found, "Give finite offsets [K, 2] and K times, K >= 2")
    if (np.diff(clock) <= 0).any():
        raise InputError("times", "do not grow", "Give growing times in µs")
    if not (threshold > 0 and floor > 0):
        raise InputError("threshold, floor", f"{threshold}, {floor} are not both positive", "Give positive numbers")
    return light, way, clock
