"""When a window is over on the wall: by the pace of a recording, or by what came from a live source."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.settings import one_of

PACES = ("max", "real")
SPEEDS = (1e-3, 1e6)
"""The slowest and the fastest replay, as a multiple of the recorded clock."""
KEPT_ARRIVALS = 1 << 16


def replay_speed(pace: str | None, speed: float | None) -> float | None:
    """How much faster than recorded a recording is replayed, None for as fast as it goes.

    Pace "real" is a speed of 1, "max" none; with neither it is as fast as it goes.

    Raises:
        InputError: the pace is unknown, the speed out of range, or both are given and "max" does not go with a speed.
    """
    if pace is not None:
        one_of(pace, "pace", PACES)
    if speed is None:
        return 1.0 if pace == "real" else None
    if isinstance(speed, bool) or not isinstance(speed, (int, float)) or not SPEEDS[0] <= speed <= SPEEDS[1]:
        found = f"{speed!r} is no factor in {SPEEDS[0]:g}..{SPEEDS[1]:g}"
        raise InputError(
            "speed", found, "Give for instance 0.1 or 2; for as fast as it goes, leave pace and speed away"
        )
    if pace == "max":
        raise InputError("speed", f"{speed:g} does not go with pace 'max'", "Leave one of them away")
    return float(speed)


class Pacer:
    """Maps the clock of a recording to the wall.

    With a speed s the first window is due its length / s after the start, or when it has been read if that takes
    longer; every other one at its recorded distance / s from it.  Late windows keep their due time, so that latency
    shows a reader that cannot keep up.

    Args:
        speed: as of ``replay_speed``.
        stop: ends a wait when set.
    """

    def __init__(self, speed: float | None, stop: threading.Event) -> None:
        self._speed = speed
        self._stop = stop
        self._began = 0.0
        self._zero: float | None = None
        """The moment of the recording's time 0."""

    def start(self, began: float) -> None:
        """Starts the clock at the moment ``began`` [s]."""
        self._began = began

    def wait(self, t_start: int, t_end: int) -> float:
        """Waits until a window is due, or until told to stop; returns the moment at which it was complete."""
        now = time.perf_counter()
        if self._speed is None:
            return now
        per_second = self._speed * 1e6
        if self._zero is None:
            self._zero = max(self._began + (t_end - t_start) / per_second, now) - t_end / per_second
        due = self._zero + t_end / per_second
        self._stop.wait(max(0.0, due - now))
        return due


class ArrivalClock:
    """The clock of a live source on the wall, by the moments at which its events came.

    A window is over when the source's clock reaches its end: as long after its last event came as the window goes on
    after it, but not later than the next event.  It is complete, so that it may be handed on, when an event has come
    that is ``jitter`` later; while nothing comes, when ``jitter + grace`` have passed since its end.

    A source that waits when it is not read gives its events late.  What came when the reader had been waiting for it
    sets its clock: by the last of these events a window is over at the latest, so that no wait is overlooked, and by
    the first one it is not due before.

    Args:
        jitter: how far times may go back [µs].
        grace: how long events of a silent source are waited for [µs].
    """

    def __init__(self, jitter: int = 0, grace: int = 0) -> None:
        self._jitter, self._grace = jitter, grace
        self._tops = np.empty(0, dtype=np.int64)
        self._moments = np.empty(0, dtype=np.float64)
        self._earliest = math.inf
        """The moment of time 0 of a source that waits, by the last of events that came promptly, and by the first."""
        self._latest = -math.inf

    def heard(
        self,
        tops: npt.NDArray[np.int64],
        moments: npt.NDArray[np.float64],
        since: int | None = None,
        prompt: bool = False,
    ) -> None:
        """Events came: up to time ``tops`` [µs] at ``moments`` [s], both growing; the rest is as of ``Arrivals``."""
        if not len(tops):
            return
        self._tops = np.concatenate((self._tops, tops))[-KEPT_ARRIVALS:]
        self._moments = np.concatenate((self._moments, moments))[-KEPT_ARRIVALS:]
        if prompt:
            self._earliest = float(moments[-1]) - int(tops[-1]) / 1e6
        if since is not None and (prompt or self._latest == -math.inf):
            self._latest = float(moments[-1]) - since / 1e6

    def forget(self, t_end: int) -> None:
        """Drops what is not needed for windows that end at ``t_end`` µs or later."""
        needed = int(np.searchsorted(self._tops, t_end)) - 1
        if needed > 0:
            # Of several arrivals with the same top the first one counts.
            needed = int(np.searchsorted(self._tops, self._tops[needed]))
            self._tops, self._moments = self._tops[needed:], self._moments[needed:]

    def silent_until(self, now: float) -> int | None:
        """Up to which time [µs] nothing more can come at the moment ``now`` [s]; None before the first event."""
        if not len(self._tops):
            return None
        top, reached = self._last()
        return top + int((now - reached) * 1e6) - self._jitter - self._grace

    def due(self, t_end: int) -> float:
        """The moment [s] at which a source that waits for its reader has reached ``t_end`` µs; -inf for another one."""
        return self._latest + t_end / 1e6

    def moments_of(self, t_end: int, now: float) -> tuple[float, float]:
        """When a window that ends at ``t_end`` µs was over and when it was complete [s], at ``now`` at the latest."""
        tops, moments = self._tops, self._moments
        if not len(tops):
            return now, now
        over, complete = min(now, self._earliest + t_end / 1e6), now
        after = int(np.searchsorted(tops, t_end))
        if after:
            last = int(np.searchsorted(tops, tops[after - 1]))
            over = min(over, moments[last] + (t_end - int(tops[last])) / 1e6)
        if after < len(tops):
            over = min(over, moments[after])
        later = int(np.searchsorted(tops, t_end + self._jitter))
        complete = min(complete, moments[later] if later < len(tops) else self._silent_at(t_end))
        return float(over), float(max(over, complete))

    def _silent_at(self, t_end: int) -> float:
        """The moment [s] at which ``silent_until`` comes to ``t_end`` µs."""
        top, reached = self._last()
        return reached + (t_end + self._jitter + self._grace - top) / 1e6

    def _last(self) -> tuple[int, float]:
        """The latest time that was heard [µs], and when it came [s]."""
        top = int(self._tops[-1])
        return top, float(self._moments[np.searchsorted(self._tops, top)])
