"""Writers of recordings, for tests, demos and conversion: N-MNIST ``.bin`` and Event Stream ``.es``."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge.files import write_whole
from nirbridge_events.events import Events, Size, as_events, as_size, require_good
from nirbridge_events.readers import event_stream, nmnist

NMNIST_TIME_LIMIT = 1 << 23
NMNIST_LARGEST: Size = (256, nmnist.OVERFLOW_ROW)
ES_LARGEST = (1 << 16) - 1


def write_nmnist(path: str | os.PathLike[str], events: Events | npt.NDArray[Any]) -> None:
    """Writes the 5-byte words of ``nirbridge_events.readers.nmnist``.

    Raises:
        InputError: an event lies outside 256x240 pixels or has no polarity, or times leave 0..2^23 - 1 µs or go back.
        FileError: the file cannot be written.
    """
    events = as_events(events)
    require_good(events, 0, NMNIST_LARGEST, 0)
    if len(events) and not 0 <= events.t[0] <= events.t[-1] < NMNIST_TIME_LIMIT:
        found = f"times {events.t[0]}..{events.t[-1]} µs leave 0..{NMNIST_TIME_LIMIT - 1}"
        raise InputError("events", found, "Subtract the first time, or write an .es file")
    words = np.empty((len(events), nmnist.EVENT_BYTES), dtype=np.uint8)
    words[:, 0], words[:, 1] = events.x, events.y
    words[:, 2] = events.p << 7 | (events.t >> 16).astype(np.uint8)
    words[:, 3], words[:, 4] = events.t >> 8 & 0xFF, events.t & 0xFF
    write_whole(path, words.tobytes())


def write_es(path: str | os.PathLike[str], events: Events | npt.NDArray[Any], sensor_size: Size) -> None:
    """Writes an Event Stream file of version 2 with DVS events, as ``nirbridge_events.readers.event_stream`` reads.

    Raises:
        InputError: a side of ``sensor_size`` exceeds 65535, an event lies outside it or has no polarity, or times are
            negative or go back.
        FileError: the file cannot be written.
    """
    width, height = as_size(sensor_size, "sensor_size")
    if max(width, height) > ES_LARGEST:
        raise InputError(
            "sensor_size", f"{width}x{height} exceeds the {ES_LARGEST} that .es holds", "Give a smaller one"
        )
    events = as_events(events)
    require_good(events, 0, (width, height), 0)
    steps = np.diff(events.t, prepend=0)
    overflows, low = np.divmod(steps, event_stream.OVERFLOW_TIME)
    starts = np.cumsum(overflows + event_stream.EVENT_BYTES) - event_stream.EVENT_BYTES
    size = int(starts[-1]) + event_stream.EVENT_BYTES if len(starts) else 0
    data = np.full(size, event_stream.OVERFLOW, dtype=np.uint8)
    y = height - 1 - events.y.astype(np.int64)
    fields = (low << 1 | events.p, events.x & 0xFF, events.x >> 8, y & 0xFF, y >> 8)
    for place, values in enumerate(fields):
        data[starts + place] = values
    header = event_stream.MAGIC + bytes([2, 0, 0, 1]) + width.to_bytes(2, "little") + height.to_bytes(2, "little")
    write_whole(path, header + data.tobytes())
