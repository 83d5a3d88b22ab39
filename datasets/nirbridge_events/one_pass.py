"""One pass over a source, with every event checked, and then filtered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nirbridge.errors import NirbridgeError
from nirbridge_events.event_source import EventSource, LiveSource
from nirbridge_events.events import Events
from nirbridge_events.filters.base import EventFilter
from nirbridge_events.filters.chain import FilterChain
from nirbridge_events.read_report import ReadReport
from nirbridge_events.readers.base import Feed
from nirbridge_events.screening import Screen


class Pass:
    """Yields the events of a source in order, once, and tells at any time what it has met.

    Args:
        source: where they are read from.
        jitter: how far times may go back [µs]; such events are sorted.
        bad_events: "error" or "skip".
        filters: what checked events go through.

    Attributes:
        feed: what was read; ``feed.position`` bytes.
        filters: the state of the filters, and what they took out.
        events: number of events yielded.
    """

    def __init__(self, source: EventSource, jitter: int, bad_events: str, filters: Sequence[EventFilter] = ()) -> None:
        self._source, self._live = source, isinstance(source, LiveSource)
        self._screen = Screen(source, jitter, bad_events)
        self._skips = bad_events == "skip"
        self.feed = Feed(Path(), 0)
        self.filters = FilterChain(filters, source.sensor_size, self._live)
        self.events = 0

    def __iter__(self) -> Iterator[Events]:
        """All events in order; after them the error that ended the pass, if one did.

        Raises:
            NirbridgeError: of the source's class; what the reader or the screen found wrong.
        """
        checked = self._checked()
        # Without filters nothing is looked at once more.
        for events in self.filters.over(checked) if self.filters.filters else checked:
            if len(events) or self._live:
                self.events += len(events)
                yield events

    @property
    def latest(self) -> int | None:
        """The latest time that was met [µs]; events of ``jitter`` before it may still come."""
        return self._screen.order.top

    @property
    def report(self) -> ReadReport:
        """What was met up to now."""
        screen, order, feed = self._screen, self._screen.order, self.feed
        return ReadReport(
            events=self.events,
            sorted_events=order.sorted_events,
            late_events=screen.late,
            ahead_events=screen.ahead,
            outside_events=screen.outside,
            longest_back_us=screen.longest_back,
            wraps=feed.wraps,
            jumps=order.jumps,
            longest_jump_us=order.longest_jump,
            resyncs=feed.resyncs,
            skipped=dict(feed.skipped),
            # Another thread may read the report while the pass goes on: a copy is made in one go.
            lost={kind: count for kind, count in dict(feed.lost).items() if count},
            notices=tuple(feed.notices),
            filters=self.filters.reports,
        )

    def _checked(self) -> Iterator[Events]:
        """The events that the screen lets through; after them the error that ended the pass, if one did."""
        self.feed, chunks = self._source.start_pass()
        self.feed.skip_bad = self._skips
        problem: NirbridgeError | None = None
        try:
            for chunk in chunks:
                ready, problem = self._screen.take(chunk)
                yield ready
                if problem:
                    break
        except NirbridgeError as error:
            problem = error
        del chunks  # closes the file now, however long the error, which holds what is here, is kept
        rest, too_many = self._screen.finish()
        if len(rest):
            yield rest
        if problem := problem or too_many:
            raise problem
