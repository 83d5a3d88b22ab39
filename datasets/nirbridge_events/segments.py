"""Segments: runs of windows that are judged as one, from fresh states, and may end early."""

from __future__ import annotations

from nirbridge.errors import InputError
from nirbridge_events.window_queue import Ready
from nirbridge_events.windows import Window


class Segments:
    """Which windows belong together, and which ones an early decision made needless.

    Segment s holds the windows s·length .. (s+1)·length - 1 of the grid; without a length the whole stream is one.
    Once ``finish`` was called, the rest of the current segment is left out.

    Attributes:
        skipped_windows: windows left out so far.
        skipped_events: events in them.
        early: segments that were finished early.
    """

    def __init__(self, length: int | None, confidence: float | None) -> None:
        if length is not None and length < 1:
            raise InputError("segment", f"{length} windows are less than 1", "Give at least 1")
        if confidence is not None and not confidence >= 0:
            raise InputError("confidence", f"{confidence} is not a number >= 0", "Give the margin that is enough")
        self._length = length
        self._confidence = confidence
        self._current = 0
        self._finished = False
        self.skipped_windows = 0
        self.skipped_events = 0
        self.early = 0

    @property
    def all_done(self) -> bool:
        """Whether no later window is wanted either."""
        return self._finished and self._length is None

    def passes(self, margin: float) -> bool:
        """Whether a margin is above the wanted confidence."""
        return self._confidence is not None and margin > self._confidence

    def number_of(self, window: Window) -> int:
        """The segment that a window is of."""
        return 0 if self._length is None else window.index // self._length

    def enter(self, segment: int) -> bool:
        """Goes to a segment; True when it is a new one."""
        if segment == self._current:
            return False
        self._current, self._finished = segment, False
        return True

    def finish(self) -> None:
        """Ends the current segment with an early decision."""
        self._finished = True
        self.early += 1

    def skips(self, items: list[Ready]) -> bool:
        """Counts windows of the current segment as left out if it is finished."""
        if self._finished:
            self.skipped_windows += len(items)
            self.skipped_events += sum(item.window.events for item in items)
        return self._finished
