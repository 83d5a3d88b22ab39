"""Events into pixels as machine code, one pass over them, where numba is there and the input is large.

Without it numpy does the same in several passes, see ``pixels``.  numba is never loaded for small inputs, nor by a
stream: loading it, and compiling when there is no cache on disk yet, takes longer than numpy takes for these.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

WORTH_LOADING = 1 << 21
"""Events of one input from which on numba is loaded: who has such recordings mostly has many of them."""


class Kernels(NamedTuple):
    """The functions below, compiled."""

    count_events: Callable[..., None]
    mark_events: Callable[..., None]
    count_until: Callable[..., tuple[int, int]]


_loaded: list[Kernels] = []


def kernels() -> Kernels | None:
    """The compiled functions, if some large input had them loaded."""
    return _loaded[0] if _loaded else None


def load_for(events: int) -> None:
    """Loads numba for an input of so many events, if that is worth it."""
    if events < WORTH_LOADING or _loaded:
        return
    try:
        from nirbridge.machine_code import compiled

        made = Kernels(*(compiled(function, nogil=True) for function in (count_events, mark_events, count_until)))
    except ImportError:
        return
    packed = np.zeros(1, dtype=[("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.uint8)])
    x, y, t, p = (np.zeros(1, dtype=packed.dtype[name]) for name in "xytp")
    value, place, byte = (np.zeros(1, dtype=dtype) for dtype in (np.float32, np.uint32, np.uint8))
    places = (place, place, np.uint64(0))
    made.count_events(value, places, x, y, p)
    made.mark_events(value, places, x, y, p)
    for columns in ((x, y, t, p), tuple(packed[name] for name in "xytp")):
        made.count_until(byte, value, 1, places, columns, 0, 0)
    _loaded.append(made)


def count_events(counts: Array, places: Any, x: Array, y: Array, p: Array) -> None:
    """counts[row_start(y) + column(x) + p·plane] += 1 for each event."""
    rows, columns, plane = places
    for i in range(len(x)):
        if y[i] >= len(rows) or x[i] >= len(columns):
            raise IndexError("an event lies outside the sensor")
        at = rows[y[i]] + columns[x[i]] + p[i] * plane
        if at >= len(counts):
            raise IndexError("a polarity is neither 0 nor 1")
        counts[at] += np.float32(1)


def mark_events(seen: Array, places: Any, x: Array, y: Array, p: Array) -> None:
    """seen[row_start(y) + column(x) + p·plane] = 1 for each event."""
    rows, columns, plane = places
    for i in range(len(x)):
        if y[i] >= len(rows) or x[i] >= len(columns):
            raise IndexError("an event lies outside the sensor")
        at = rows[y[i]] + columns[x[i]] + p[i] * plane
        if at >= len(seen):
            raise IndexError("a polarity is neither 0 nor 1")
        seen[at] = 1


def count_until(
    counts: Array, beyond: Array, most: int, places: Any, columns: Any, at: int, end: int
) -> tuple[int, int]:
    """``count_events`` from event ``at`` up to the time ``end``, in bytes that stay at ``most``.

    With 256 they turn over to 0, and beyond[pixel] += 256 for each turn.

    Returns the first event from ``end`` on and the number of turns; or -1 where a time goes back, an event lies
    outside the sensor, or a polarity is neither 0 nor 1.
    """
    rows, sensor_columns, plane = places
    last, turns = np.int64(-(1 << 63)), 0  # the event before ``at`` is of an earlier window
    # The places of some events first: a loop that counts and does nothing else waits for several pixels at a time.
    some = np.empty(512, dtype=np.uint32)
    while at < len(columns[2]):
        # Indices from 0 on cannot be negative, which numba would look at for each value.
        x, y, t, p = columns[0][at:], columns[1][at:], columns[2][at:], columns[3][at:]
        found = 0
        for i in range(min(len(t), len(some))):
            now = t[i]
            if now >= end:
                break
            if (now < last) | (y[i] >= len(rows)) | (x[i] >= len(sensor_columns)) | (p[i] > 1):
                return -1, turns
            last = now
            some[i] = rows[y[i]] + sensor_columns[x[i]] + p[i] * plane
            found += 1
        for place in some[:found]:
            count = np.uint8(min(counts[place] + 1, most))
            counts[place] = count
            if count == 0:
                beyond[place] += np.float32(256)
                turns += 1
        at += found
        if found < len(some):
            break
    return at, turns
