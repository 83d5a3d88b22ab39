"""When each pixel had its last event, as filters remember it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from nirbridge_events.events import Events
from nirbridge_events.filters.base import FilterState
from nirbridge_events.filters.loops import Loop, Memory

REACH = 1 << 30
"""How far back a filter may look [µs], 18 minutes."""
SPAN = 1 << 31
"""Until when after its origin the table can say a time [µs]."""
NEVER = -(1 << 31)
"""In the table: there was no event, or none within the reach."""
_LAST_TIME = np.iinfo(np.int64).max


class RecentTimes:
    """A table of times in 32 bits, because that of a large sensor then fits the nearer caches.

    They count from an origin, which moves along every half an hour; what is beyond the reach is forgotten then.

    Args:
        pixels: how many there are.

    Attributes:
        table: of each pixel the time of its last event, from the origin; or ``NEVER``.
    """

    def __init__(self, pixels: int) -> None:
        self.table = Memory(np.full(pixels, NEVER, dtype=np.int32))
        self._origin: int | None = None

    def parts(self, events: Events) -> Iterator[tuple[Events, int]]:
        """All events in runs, each with the origin of the table, which it must be used with before the next."""
        while len(events):
            first = int(events.t[0])
            if self._origin is None:
                self._origin = first
            elif first - self._origin >= SPAN:
                self._move(first)
            end = self._origin + SPAN
            stop = len(events) if end > _LAST_TIME else int(np.searchsorted(events.t, end))
            yield events[:stop], self._origin
            events = events[stop:]

    def _move(self, origin: int) -> None:
        step = origin - (self._origin or 0)
        times = np.asarray(self.table.kept_as(array=True), dtype=np.int64) - min(step, SPAN + REACH + 1)
        self.table = Memory(np.where(times < -REACH, NEVER, times).astype(np.int32))
        self._origin = origin


class LoopState(FilterState):
    """Events through a loop that knows when each pixel had its last event, and looks ``reach`` µs back."""

    def __init__(self, loop: Loop, pixels: int, places: Sequence[int], reach: int) -> None:
        self._loop, self._places, self._reach = loop, places, reach
        self._times = RecentTimes(pixels)

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        return Events.concatenate(
            [
                self._loop.run(part, self._times.table, self._places, (origin, self._reach))
                for part, origin in self._times.parts(events)
            ]
        )
