"""A part of the sensor: what the encoder crops to, and what the filter ``roi`` lets through."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size, whole_numbers

Area = tuple[int, int, int, int]
"""(x, y, width, height) in sensor pixels: the left upper corner and the size."""

_TEXT = re.compile(r"(\d{1,6}),(\d{1,6}),(\d{1,6})[x,](\d{1,6})")


def parse_area(text: str, where: str) -> Area:
    """An area from text, as 53,10,240x240 or 53,10,240,240.

    Raises:
        InputError: it is anything else.
    """
    match = _TEXT.fullmatch(text)
    if not match:
        raise InputError(where, f"'{text[:40]}' is not X,Y,WIDTHxHEIGHT in pixels", "Give it as 53,10,240x240")
    x, y, width, height = map(int, match.groups())
    return x, y, width, height


def as_area(area: Any, where: str) -> Area:
    """Four whole numbers as an area.

    Raises:
        InputError: they are something else.
    """
    found = whole_numbers(area, 4)
    if found is None or min(found) < 0 or min(found[2:]) < 1:
        raise InputError(where, f"{area!r} is not (x, y, width, height) in pixels", "Give it as (10, 0, 240, 180)")
    x, y, width, height = found
    return x, y, width, height


def require_inside(area: Area, sensor_size: Size, where: str) -> None:
    """Refuses an area that leaves the sensor.

    Raises:
        InputError: it does.
    """
    x, y, width, height = area
    if x + width > sensor_size[0] or y + height > sensor_size[1]:
        found = f"{width}x{height} pixels from ({x}, {y}) leave the sensor of {sensor_size[0]}x{sensor_size[1]}"
        raise InputError(where, found, "Stay inside the sensor")


def moved(events: Events, area: Area) -> Events:
    """The same events counted from the area's corner; what lies left of it or above becomes a large number."""
    return Events(events.x - np.uint16(area[0]), events.y - np.uint16(area[1]), events.t, events.p)


def within(from_corner: Events, area: Area) -> npt.NDArray[np.bool_]:
    """Which events of ``moved`` lie in the area: unsigned differences wrap, so one comparison finds both sides."""
    _, _, width, height = area
    return (from_corner.x < width) & (from_corner.y < height)
