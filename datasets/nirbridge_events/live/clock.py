"""One line of time from a live source's counters, which wrap, leap and start again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A step back of more than this [µs] is a clock that started again, not a datagram that was overtaken.
BACK = 1_000_000
# Steps forward of more than GAP are those that make time pass without events.  All of them together may not run ahead
# of twice the time that passes here by more than FORWARD; what would is a clock that leapt.
GAP = 100_000
FORWARD = 2_000_000


class LiveClock:
    """Joins counters of 32 or 64 bits to times that grow.

    The step from one event to the next is the difference of their counters modulo 2^bits, with its sign, so a counter
    that starts again at 0 needs no further care.  A step of less than -BACK, or forward further than GAP and the time
    that passed here allow, is a leap: it counts as a step of 0, so that neither a restarted camera nor a damaged
    datagram moves the time of what follows.

    Attributes:
        wraps: how often the counter started again.
        resyncs: how many leaps there were.
        tops: the latest time so far after each arrival of the last ``join`` [µs], int64 [N].
        moments: these arrivals [µs], int64 [N].
    """

    def __init__(self, bits: int) -> None:
        self._unsigned, self._signed = {32: (np.uint32, np.int32), 64: (np.uint64, np.int64)}[bits]
        self._last: int | None = None
        self._time = self._top = 0
        self._arrival = self._refilled = 0
        self._credit = FORWARD
        self.wraps = 0
        self.resyncs = 0
        self.tops = self.moments = np.empty(0, dtype=np.int64)

    @property
    def last_counter(self) -> int | None:
        """The counter of the last event, None before the first."""
        return self._last

    def join(self, counters: npt.NDArray[np.uint64], arrivals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Times [µs] of events from their counters and the times at which they arrived here [µs]."""
        if not len(counters):
            self.tops = self.moments = np.empty(0, dtype=np.int64)
            return self.tops
        now = counters.astype(self._unsigned)
        if self._last is None:
            self._last, self._arrival = int(now[0]), int(arrivals[0])
            self._time = self._top = min(self._last, 1 << 62)
            self._refilled = self._arrival
        before = np.concatenate((np.array([self._last], dtype=self._unsigned), now[:-1]))
        steps = (now - before).view(self._signed).astype(np.int64)
        leaps = (steps < -BACK) | self._too_far(steps, arrivals)
        self.resyncs += int(leaps.sum())
        self.wraps += int(((now < before) & (steps > 0) & ~leaps).sum())
        steps[leaps] = 0
        times: npt.NDArray[np.int64] = self._time + np.cumsum(steps)
        ends = np.append(np.flatnonzero(np.diff(arrivals)), len(arrivals) - 1)
        self.tops = np.maximum(np.maximum.accumulate(times), self._top)[ends]
        self.moments = arrivals[ends]
        self._last, self._time, self._arrival = int(now[-1]), int(times[-1]), int(arrivals[-1])
        self._top = int(self.tops[-1])
        return times

    def _too_far(self, steps: npt.NDArray[np.int64], arrivals: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which steps forward leave the time that passed here too far behind."""
        far = np.zeros(len(steps), dtype=np.bool_)
        previous = np.concatenate(([self._arrival], arrivals[:-1]))
        for i in np.flatnonzero(steps > GAP).tolist():
            self._credit = min(FORWARD, self._credit + 2 * (int(previous[i]) - self._refilled))
            allowed = self._credit + 2 * int(arrivals[i] - previous[i])
            far[i] = steps[i] > allowed
            self._credit = min(FORWARD, allowed - (0 if far[i] else int(steps[i])))
            self._refilled = int(arrivals[i])
        return far


class Restarts:
    """Joins times of a source whose clock starts again: a step of less than -BACK counts as a step of 0.

    Attributes:
        count: how often it did.
    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._shift = 0
        self.count = 0

    def join(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The times [µs] on one line."""
        if not len(times):
            return times
        steps = np.diff(times, prepend=times[0] if self._last is None else self._last)
        back = steps < -BACK
        self.count += int(back.sum())
        shifts = self._shift - np.cumsum(np.where(back, steps, 0))
        self._last, self._shift = int(times[-1]), int(shifts[-1])
        return times + shifts if self.count else times
