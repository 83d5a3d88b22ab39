"""How many events came when, in memory that does not grow with the length of a recording."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events

BIN = 10_000
"""µs over which the peak rate is counted."""
FINEST = 100
MOST_BINS = 4096
Counts = npt.NDArray[np.int64]


class Rates:
    """Counts the events of bins of time, which all begin at the first event; times grow from call to call.

    For the peak every bin of BIN µs is counted exactly.  The course is kept in at most MOST_BINS bins: they begin with
    FINEST µs, and two and two become one whenever they would be more.

    Attributes:
        first: time of the first event [µs], None before.
        last: time of the last one.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.last: int | None = None
        self._width = FINEST
        self._course: Counts = np.zeros((2, MOST_BINS), dtype=np.int64)
        self._peak = self._open_bin = self._open_count = 0

    def add(self, events: Events) -> None:
        """Takes the next events."""
        if not len(events):
            return
        self.first = int(events.t[0]) if self.first is None else self.first
        self.last = int(events.t[-1])
        since = events.t - self.first
        self._add_to_peak(since // BIN)
        while self.last - self.first >= self._width * MOST_BINS:
            pairs = self._course.reshape(2, -1, 2).sum(axis=2)
            self._course = np.concatenate((pairs, np.zeros_like(pairs)), axis=1)
            self._width *= 2
        places = events.p * np.intp(MOST_BINS) + since // self._width
        self._course += np.bincount(places, minlength=2 * MOST_BINS).reshape(2, MOST_BINS)

    @property
    def polarities(self) -> tuple[int, int]:
        """Events OFF and ON."""
        off, on = self._course.sum(axis=1).tolist()
        return off, on

    @property
    def mean(self) -> float | None:
        """Events a second from the first to the last one; None where no time passed."""
        seconds = self._seconds()
        return sum(self.polarities) / seconds if seconds else None

    @property
    def peak(self) -> float | None:
        """Events a second in the fullest bin of BIN µs, or in the whole of what is shorter."""
        seconds = self._seconds()
        return max(self._peak, self._open_count) / min(BIN / 1e6, seconds) if seconds else None

    def course(self, most: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Where bins begin [s since the first event], and the events a second in them [2, bins], OFF and ON.

        There are at most ``most`` of them; the last may be filled in part.
        """
        if self.first is None or self.last is None:
            return np.zeros(0), np.zeros((2, 0))
        used = (self.last - self.first) // self._width + 1
        merged = -(-used // most)
        bins = -(-used // merged)
        counts = np.zeros((2, bins * merged), dtype=np.int64)
        counts[:, :used] = self._course[:, :used]
        seconds = merged * self._width / 1e6
        return np.arange(bins) * seconds, counts.reshape(2, bins, merged).sum(axis=2) / seconds

    def _seconds(self) -> float:
        return 0.0 if self.first is None or self.last is None else (self.last - self.first) / 1e6

    def _add_to_peak(self, bins: Counts) -> None:
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        counts = np.diff(starts, append=len(bins))
        if bins[0] == self._open_bin:
            counts[0] += self._open_count
        else:
            self._peak = max(self._peak, self._open_count)
        self._peak = max(self._peak, int(counts[:-1].max(initial=0)))
        self._open_bin, self._open_count = int(bins[-1]), int(counts[-1])
