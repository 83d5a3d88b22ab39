"""The order of times: small jitter is sorted, leaps are counted, times that go back too far are found."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events, first_backwards

JITTER = 1_000
# Events that may wait to be sorted, for each JITTER of what is allowed; beyond it the oldest are handed on, so that
# equal times cannot fill the memory.
HELD_EVENTS = 1 << 17
MOST_HELD = 8 * HELD_EVENTS
# A step forward of more than this [µs] is counted as a jump.
JUMP = 1_000_000


class TimeOrder:
    """Sorts events whose times go back by at most ``jitter`` µs.

    An event is handed on once no later one may still go before it: when a time ``jitter`` µs past its own was seen.
    Equal times keep their order.

    Attributes:
        most_held: events that may wait to be sorted.
        taken: events taken in.
        sorted_events: events that came after one with a later time, and were put in their place.
        jumps: steps forward of more than JUMP.
        longest_jump: the longest of them [µs].
        top: the latest time taken in, None before the first.
    """

    def __init__(self, jitter: int = JITTER) -> None:
        self._jitter = jitter
        self.most_held = min(MOST_HELD, HELD_EVENTS * max(1, jitter // JITTER))
        self._held = _NONE
        self.top: int | None = None
        self._floor: int | None = None
        self.taken = 0
        self.sorted_events = 0
        self.jumps = 0
        self.longest_jump = 0

    def too_early(self, t: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_] | None:
        """Which of the next times go back further than may be sorted; None if all are in order."""
        if first_backwards(t, self.top) is None:
            return None
        limit = self._tops(t) - self._jitter
        if self._floor is not None:
            np.maximum(limit, self._floor, out=limit)
        early = t < limit
        return early if early.any() else None

    def top_before(self, t: npt.NDArray[np.int64], index: int) -> int:
        """The latest time seen before event ``index`` of the next ones."""
        return int(self._tops(t)[index])

    def furthest_back(self, t: npt.NDArray[np.int64]) -> int:
        """By how much one of the next times goes back at most [µs]."""
        return int((self._tops(t) - t).max(initial=0))

    def push(self, events: Events) -> Events:
        """Takes events of which none is too early, and gives those that are now in their final place."""
        if not len(events):
            return events
        self.taken += len(events)
        late = int((events.t < self._tops(events.t)).sum())
        top = int(events.t.max())
        self.top = top if self.top is None else max(self.top, top)
        merged = Events.concatenate([self._held, events])
        if late:
            self.sorted_events += late
            merged = merged.select(np.argsort(merged.t, kind="stable"))
        ready = int(np.searchsorted(merged.t, self.top - self._jitter, side="right"))
        ready = max(ready, len(merged) - self.most_held) if self._jitter else len(merged)
        self._held = merged[ready:]
        return self._give(merged[:ready])

    def flush(self) -> Events:
        """Gives what was held back."""
        held, self._held = self._held, _NONE
        return self._give(held)

    def _tops(self, t: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each of the next times, the latest one seen before it."""
        first = t[0] if self.top is None else self.top
        tops: npt.NDArray[np.int64] = np.maximum.accumulate(np.concatenate(([first], t[:-1])))
        return tops

    def _give(self, events: Events) -> Events:
        if len(events):
            first = int(events.t[0]) if self._floor is None else self._floor
            if int(events.t[-1]) - first > JUMP:
                steps = np.diff(events.t, prepend=first)
                self.jumps += int((steps > JUMP).sum())
                self.longest_jump = max(self.longest_jump, int(steps.max()))
            self._floor = int(events.t[-1])
        return events


_NONE = Events.concatenate([])
