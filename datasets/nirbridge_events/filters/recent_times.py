"""When each pixel had its last event, as filters remember it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nirbridge_events.events import Events, count_before
from nirbridge_events.filters.base import FilterState
from nirbridge_events.filters.loops import Loop, Memory

REACH = 1 << 30
"""How far back a filter may look [µs], 18 minutes."""
SPAN = 1 << 31
"""Until when after its origin the table can say a time [µs]."""
NEVER = -(1 << 31)
"""In the table: there was no event, or none within the reach."""


class LoopState(FilterState):
    """Events through a loop that knows when each pixel had its last event.

    The times are a table in 32 bits, because that of a large sensor then fits the nearer caches.  They count from an
    origin, which moves along every half an hour; what is beyond the reach is forgotten then.

    Args:
        loop: the loop; behind the table it is given ``places``, the origin of the table and ``reach``.
        pixels: of the table.
        places: numbers that indices are made of.
        reach: how far back it looks [µs].
    """

    def __init__(self, loop: Loop, pixels: int, places: Sequence[int], reach: int) -> None:
        self._loop, self._places, self._reach = loop, places, reach
        self._table = Memory(np.full(pixels, NEVER, dtype=np.int32))
        self._origin: int | None = None

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        passed = []
        while len(events):
            origin = self._origin_for(int(events.t[0]))
            stop = count_before(events.t, origin + SPAN)
            passed.append(self._loop.run(events[:stop], self._table, self._places, (origin, self._reach)))
            events = events[stop:]
        return Events.concatenate(passed)

    def _origin_for(self, time: int) -> int:
        """The origin of the table, which is moved to ``time`` if it cannot say that."""
        if self._origin is None:
            self._origin = time
        elif time - self._origin >= SPAN:
            step = min(time - self._origin, SPAN + REACH + 1)
            times = np.asarray(self._table.kept_as(array=True), dtype=np.int64) - step
            self._table = Memory(np.where(times < -REACH, NEVER, times).astype(np.int32))
            self._origin = time
        return self._origin
