"""The part of a recording that becomes frames, on the recording's own clock."""

from __future__ import annotations

from nirbridge.errors import InputError
from nirbridge_events.events import Events, count_before
from nirbridge_events.settings import one_of, whole_number
from nirbridge_events.windows import EncodeReport

TIMES = (-(1 << 62), 1 << 62)


class TimeRange:
    """Leaves out and counts the events before a start and from an end on.

    Args:
        start: a time in µs, "zero" for time 0, or "first" (also None) for the time of the first event.
        end: a time in µs, None for none.

    Attributes:
        start: in µs; None before the first event, where that is the start.
        end: in µs, or None.
        passed: whether an event at the end or after it came.
        seen: times of the first and the last event, None before.

    Raises:
        InputError: one of them is no time, or the end is not after the start.
    """

    def __init__(self, start: int | str | None, end: int | None) -> None:
        if isinstance(start, str):
            start = {"first": None, "zero": 0}[one_of(start, "start", ("first", "zero"))]
        self.start = None if start is None else whole_number(start, "start", *TIMES)
        self.end = None if end is None else whole_number(end, "end", *TIMES)
        if self.end is not None and self.start is not None and self.end <= self.start:
            raise InputError("end", f"{self.end} µs is not after the start at {self.start} µs", "Choose a later end")
        self.passed = False
        self.seen: tuple[int, int] | None = None

    def cut(self, events: Events, report: EncodeReport) -> Events:
        """The events that lie in the range; the others are counted.  Times grow from call to call."""
        first, last = int(events.t[0]), int(events.t[-1])
        self.seen = (first if self.seen is None else self.seen[0], last)
        self.start = first if self.start is None else self.start
        early = count_before(events.t, self.start)
        report.before_start += early
        events = events[early:]
        if self.end is None or last < self.end:
            return events
        self.passed = True
        stop = count_before(events.t, self.end)
        report.after_end += len(events) - stop
        return events[:stop]

    def holds_some(self, report: EncodeReport) -> bool:
        """Whether any of the events up to now lies in the range, in a frame or not."""
        return report.before_start + report.after_end < report.events

    def require_some(self, report: EncodeReport) -> None:
        """Refuses a range without events.

        Raises:
            InputError: events came, but none of them lies in the range.
        """
        if self.seen is None or self.holds_some(report):
            return
        found = (
            f"none of {report.events} events lies there: {report.before_start} come before, {report.after_end} after; "
            f"the recording's own clock goes from {self.seen[0]} to {self.seen[1]} µs"
        )
        raise InputError("start and end", found, "Choose them on that clock")
