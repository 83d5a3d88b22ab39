"""A whole array of events to frames in one sweep of machine code, which checks each event as it counts it.

It knows the plain case alone.  Anything else, and all that is wrong with events, is for ``FrameEncoder`` to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events import counting
from nirbridge_events.events import Events, Size
from nirbridge_events.pixels import LARGEST_COUNT, FloatFrame
from nirbridge_events.settings import EncoderSettings
from nirbridge_events.time_range import TIMES, TimeRange
from nirbridge_events.windows import MOST_RESERVED

_SAME_BYTES = {"x": ("u2", "i2"), "y": ("u2", "i2"), "t": ("i8",), "p": ("u1", "i1", "?")}
"""Types of fields that hold the bytes of the columns of ``Events``, as long as no value is negative."""


def sweep(
    events: Events | npt.NDArray[Any], settings: EncoderSettings, time_range: TimeRange, max_gap: int
) -> FloatFrame | None:
    """The frames [T, P, H, W] that ``FrameEncoder`` makes of events where each has to be in one.

    Pixels are counted in bytes, of which those of a large sensor fit the nearer caches, and every frame is written
    once.  None where there is no machine code, the case is not plain, or an event is not as it should be.
    """
    compiled, columns = counting.kernels(), _columns(events, settings.sensor_size)
    if compiled is None or columns is None or time_range.end is not None or not _is_plain(settings):
        return None
    t, window, pixels = columns[2], settings.window, settings.pixel_map
    start = int(t[0]) if time_range.start is None else time_range.start
    windows = (int(t[-1]) - start) // window + 1
    if t[0] < start or t[-1] > TIMES[1] - window or not 0 < windows * pixels.pixels <= MOST_RESERVED:
        return None
    # numpy asks for huge pages for empty memory, not for zeros; to fault in small ones takes thrice as long.
    frames = np.empty((windows, *pixels.shape), dtype=np.float32)
    counts, beyond = np.zeros(pixels.shape, dtype=np.uint8), np.zeros(pixels.shape, dtype=np.float32)
    most, at, empty = 1 if settings.coding == "binary" else 256, 0, 0
    for index, frame in enumerate(frames):
        end = start + (index + 1) * window
        stop, turns = compiled.count_until(counts.ravel(), beyond.ravel(), most, pixels.places, columns, at, end)
        empty = empty + 1 if stop == at else 0
        if stop < 0 or empty > max_gap:
            return None
        frame[:] = counts
        counts.fill(0)
        if turns:
            np.minimum(np.add(frame, beyond, out=frame), LARGEST_COUNT, out=frame)
            beyond.fill(0)
        at = stop
    return frames if at == len(t) else None


def _is_plain(settings: EncoderSettings) -> bool:
    """Whether a frame is what its events sum up to, pixel by pixel, or 1 where there are any."""
    whole = settings.crop is None and settings.per_events is None and settings.polarity != "signed"
    summed = settings.coding == "count" and (settings.downsample == "sum" or not settings.pixel_map.downsamples)
    return whole and settings.parts == 1 and (summed or settings.coding == "binary")


def _columns(events: Events | npt.NDArray[Any], sensor_size: Size) -> tuple[npt.NDArray[Any], ...] | None:
    """x, y, t and p where they lie, with the types of ``Events``; None where that takes more than looking at them so.

    A negative number becomes one that is outside of every sensor, and no polarity.
    """
    if not len(events) or not (isinstance(events, Events) or {*"xytp"} <= {*(events.dtype.names or ())}):
        return None
    found = {name: getattr(events, name) if isinstance(events, Events) else events[name] for name in _SAME_BYTES}
    if any(values.dtype not in _SAME_BYTES[name] or values.ndim > 1 for name, values in found.items()):
        return None
    if max(sensor_size) > 1 << 15 and not found["x"].dtype == found["y"].dtype == np.uint16:
        return None
    return tuple(values.view(_SAME_BYTES[name][0]) for name, values in found.items())
