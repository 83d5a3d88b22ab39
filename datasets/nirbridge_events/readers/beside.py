"""What files keep beside their events: the size of the sensor, and a time that is added to all others."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nirbridge.errors import FileError
from nirbridge_events.events import Size, known_size

Said = Callable[[str, int], "list[int | float] | None"]
"""So many numbers kept under a name; none where it holds something else, None where there is nothing of that name."""
OFFSET = "t_offset"
LARGEST = 1 << 12  # bytes that are looked at
_PAIRS = ("sensor_resolution", "resolution", "sensor_size", "geometry")
_GEOMETRY = re.compile(r"(\d{1,5})\s*[x,]\s*(\d{1,5})")


def time_offset(where: str, beside: Sequence[Said]) -> int | float:
    """What DSEC and others add to every time, in the unit of the times; 0 without it.

    Raises:
        FileError: it is no number.
    """
    value = next((value for said in beside if (value := said(OFFSET, 1)) is not None), [0])
    if not value:
        raise FileError(where, f"its {OFFSET}, which is added to all times, is no number", "Repair it")
    return value[0]


def stated_size(beside: Sequence[Said], given: Size | None) -> tuple[Size | None, tuple[str, ...]]:
    """(width, height) of the sensor, where something says it, and what to say of it.

    Of a pair whose order differs from file to file, the larger number is the width, unless ``given`` is the other way.
    """
    for said in beside:
        width, height = said("width", 1), said("height", 1)
        if width and height:
            return known_size(int(width[0]), int(height[0])), ()
    for said in beside:
        for name in _PAIRS:
            pair = said(name, 2)
            if pair and (size := known_size(int(max(pair)), int(min(pair)))):
                if given == size[::-1]:
                    return given, ()
                high, wide = sorted(size)
                note = f"its {name} of {high}, {wide} is taken as {wide}x{high} pixels; --sensor {high}x{wide} turns it"
                return size, (note,) if pair[0] < pair[1] else ()
    return None, ()


def as_numbers(value: Any, count: int) -> list[int | float]:
    """So many finite numbers, or two in a text as 640x480; none of anything else."""
    if text := text_of(value):
        found = _GEOMETRY.fullmatch(text)
        return [int(part) for part in found.groups()] if found and count == 2 else []
    values = np.asarray(value).ravel()
    fits = values.size == count and values.dtype.kind in "iuf" and np.isfinite(values).all()
    return values.tolist() if fits else []


def text_of(value: Any) -> str:
    """A text however it is stored, "" of anything else."""
    value = value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value
    return value.decode("latin-1") if isinstance(value, bytes) else value if isinstance(value, str) else ""
