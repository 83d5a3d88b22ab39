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

        made = Kernels(compiled(count_events, nogil=True), compiled(mark_events, nogil=True))
    except ImportError:
        return
    no_places = np.zeros(0, dtype=np.uint32)
    for kernel in made:
        kernel(
            np.zeros(0, dtype=np.float32),
            (no_places, no_places, np.uint64(0)),
            np.zeros(0, dtype=np.uint16),
            np.zeros(0, dtype=np.uint16),
            np.zeros(0, dtype=np.uint8),
        )
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
