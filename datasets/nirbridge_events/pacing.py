"""When a window may be handed over: at once, or when its recorded time has passed."""

from __future__ import annotations

import threading
import time

PACES = ("max", "real")


class Pacer:
    """Maps the clock of a recording to the wall.

    With pace "real" the first window is due one window after the start, or when it has been read if that takes
    longer; every other one at its recorded distance from it.  Late windows keep their due time, so that latency shows
    a reader that cannot keep up.
    """

    def __init__(self, pace: str, stop: threading.Event) -> None:
        self._real = pace == "real"
        self._stop = stop
        self._began = 0.0
        self._zero: float | None = None
        """The moment of the recording's time 0."""

    def start(self) -> float:
        """Starts the clock; returns its time."""
        self._began = time.perf_counter()
        return self._began

    def wait(self, t_start: int, t_end: int) -> float:
        """Waits until a window is due, or until told to stop; returns the moment at which it was complete."""
        now = time.perf_counter()
        if not self._real:
            return now
        if self._zero is None:
            self._zero = max(self._began + (t_end - t_start) / 1e6, now) - t_end / 1e6
        due = self._zero + t_end / 1e6
        self._stop.wait(max(0.0, due - now))
        return due


class SilentClock:
    """The time of a source that sends nothing: its last event's, plus what passed on the wall since."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None

    def heard(self, time_us: int) -> None:
        """An event of this time came just now."""
        self._last = (time_us, time.perf_counter())

    def now(self) -> int | None:
        """µs on the source's clock; None before its first event."""
        if self._last is None:
            return None
        time_us, at = self._last
        return time_us + int((time.perf_counter() - at) * 1e6)
