"""One line of time from a live source's counters, which wrap, leap and start again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# A step back of more than this [µs] is a clock that started again, not a datagram that was overtaken.
BACK = 1_000_000
# A step forward of more than this, and twice the time that has passed here, is a clock that leapt.
FORWARD = 2_000_000


class LiveClock:
    """Joins counters of 32 or 64 bits to times that grow.

    The step from one event to the next is the difference of their counters modulo 2^bits, with its sign, so a counter
    that starts again at 0 needs no further care.  A step of less than -BACK or more than FORWARD + 2·(time passed
    here) is a leap: it counts as a step of 0, so that neither a restarted camera nor a damaged datagram moves the
    time of what follows.

    Attributes:
        wraps: how often the counter started again.
        resyncs: how many leaps there were.
    """

    def __init__(self, bits: int) -> None:
        self._unsigned, self._signed = {32: (np.uint32, np.int32), 64: (np.uint64, np.int64)}[bits]
        self._last: int | None = None
        self._time = 0
        self._arrival = 0
        self.wraps = 0
        self.resyncs = 0

    @property
    def last_counter(self) -> int | None:
        """The counter of the last event, None before the first."""
        return self._last

    def join(self, counters: npt.NDArray[np.uint64], arrivals: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Times [µs] of events from their counters and the times at which they arrived here [µs]."""
        if not len(counters):
            return np.empty(0, dtype=np.int64)
        now = counters.astype(self._unsigned)
        if self._last is None:
            self._last, self._arrival = int(now[0]), int(arrivals[0])
            self._time = min(self._last, 1 << 62)
        before = np.concatenate((np.array([self._last], dtype=self._unsigned), now[:-1]))
        steps = (now - before).view(self._signed).astype(np.int64)
        passed = np.diff(arrivals, prepend=self._arrival)
        leaps = (steps < -BACK) | (steps > FORWARD + 2 * passed)
        self.resyncs += int(leaps.sum())
        self.wraps += int(((now < before) & (steps > 0) & ~leaps).sum())
        steps[leaps] = 0
        times: npt.NDArray[np.int64] = self._time + np.cumsum(steps)
        self._last, self._time, self._arrival = int(now[-1]), int(times[-1]), int(arrivals[-1])
        return times
