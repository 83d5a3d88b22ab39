"""What is checked of every event, whoever read it: that it lies on the sensor, and that its time fits the others."""

from __future__ import annotations

import math

from nirbridge.errors import NirbridgeError
from nirbridge_events.event_source import EventSource, LiveSource
from nirbridge_events.events import Events, first_outside, inside, narrowed
from nirbridge_events.readers.base import SKIP_ADVICE
from nirbridge_events.readers.order import JUMP, TimeOrder
from nirbridge_events.readers.sieve import TimeSieve

POLICIES = ("error", "skip")
"""What becomes of bad events: the first one ends the pass, or all are left out and counted."""


class Screen:
    """Takes the chunks of a reader; gives checked events in order, with x and y as uint16.

    With policy "error" the first bad event ends the pass.  With "skip" bad events are left out: those outside the
    sensor, and those whose times contradict the others (``TimeSieve``; of a live source, which cannot wait for what
    follows, simply those that go back by more than the jitter).  If at the end more were left out than kept, something
    else is wrong, and that is an error too, except of a live source.

    Args:
        source: where the events are from.
        jitter: how far times may go back [µs].
        policy: one of ``POLICIES``.

    Attributes:
        order: what sorts the events that go back by no more than the jitter.
        outside: events outside the sensor, left out.
    """

    def __init__(self, source: EventSource, jitter: int, policy: str) -> None:
        self._source, self._live = source, isinstance(source, LiveSource)
        self._jitter, self._skips = jitter, policy == "skip"
        self.order = TimeOrder(jitter)
        self._sieve = TimeSieve(jitter)
        self._too_late = self._longest_back = 0
        self.outside = 0

    @property
    def late(self) -> int:
        """Events whose times went back by more than the jitter, left out."""
        return self._too_late + self._sieve.late

    @property
    def ahead(self) -> int:
        """Events whose times are ahead of most that followed, left out."""
        return self._sieve.ahead

    @property
    def longest_back(self) -> int:
        """The furthest that a time of those went back [µs]."""
        return max(self._longest_back, self._sieve.longest_back)

    def take(self, chunk: Events) -> tuple[Events, NirbridgeError | None]:
        """Events that are in their final place, and the error that ends the pass, if one does."""
        if not len(chunk):
            return (self.order.flush() if self._live else chunk), None
        if self._skips:
            chunk = self._without_bad(chunk)
            return self.order.push(chunk), None
        good, problem = self._first_bad(chunk)
        return self.order.push(narrowed(chunk[:good])), problem

    def finish(self) -> tuple[Events, NirbridgeError | None]:
        """What was held back, at the end of the source or before an error; and an error as of ``take``."""
        rest = self._without_late(self._sieve.flush())
        return Events.concatenate([self.order.push(rest), self.order.flush()]), self._too_many_bad()

    def _without_bad(self, chunk: Events) -> Events:
        on_sensor = inside(chunk, self._source.sensor_size)
        if on_sensor is not None:
            self.outside += int((~on_sensor).sum())
            chunk = chunk.select(on_sensor)
        chunk = narrowed(chunk)
        return self._without_late(chunk if self._live else self._sieve.push(chunk))

    def _without_late(self, chunk: Events) -> Events:
        """What can still be put in order; behind the sieve that is all, unless the jitter spans too many events."""
        early = self.order.too_early(chunk.t)
        if early is None:
            return chunk
        self._too_late += int(early.sum())
        self._longest_back = max(self._longest_back, self.order.furthest_back(chunk.t))
        return chunk.select(~early)

    def _too_many_bad(self) -> NirbridgeError | None:
        left_out, kept = self.outside + self.late + self.ahead, self.order.taken
        if self._live or left_out <= kept:
            return None
        astray = self.late + self.ahead
        kinds = ((self.outside, "outside the sensor"), (astray, "with times that contradict the others"))
        named = " and ".join(f"{count} {kind}" for count, kind in kinds if count)
        found = f"{left_out} of {left_out + kept} events are bad ({named}), more than may be left out"
        if self.outside > astray:
            advice = self._size_advice()
            return self._wrong(found, advice[0].upper() + advice[1:])
        return self._wrong(found, "Sort it by time, or cut it where its clock starts again, before it is read here")

    def _first_bad(self, chunk: Events) -> tuple[int, NirbridgeError | None]:
        """The number of good events at the start of a chunk, and the error of the first bad one."""
        early, outside = self.order.too_early(chunk.t), first_outside(chunk, self._source.sensor_size)
        back = None if early is None else int(early.argmax())
        if back is not None and (outside is None or back <= outside):
            before = self.order.top_before(chunk.t, back)
            return back, self._goes_back(self.order.taken + back, int(chunk.t[back]), before)
        if outside is None:
            return len(chunk), None
        width, height = self._source.sensor_size
        found = (
            f"event {self.order.taken + outside} lies at ({chunk.x[outside]}, {chunk.y[outside]}), "
            f"outside the sensor of {width}x{height} pixels"
        )
        return outside, self._wrong(found, f"{SKIP_ADVICE}, or {self._size_advice()}")

    def _size_advice(self) -> str:
        if self._source.size_origin == "file":
            return "correct the file, which states that size"
        return "give the right sensor size with --sensor WxH (sensor_size)"

    def _goes_back(self, number: int, time: int, before: int) -> NirbridgeError:
        found = f"event {number} has time {time} µs after {before} µs; "
        if before - time <= self._jitter:
            found += f"it goes back past {self.order.most_held} events, more than are held to sort within the jitter"
            return self._wrong(found, "Sort the recording by time")
        found += f"times must not go back by more than {self._jitter} µs"
        if before - time > JUMP:
            found += ": the clock of the recording seems to have started again"
            return self._wrong(found, f"{SKIP_ADVICE}, or cut the recording there")
        enough = math.ceil((before - time) / 1000)
        next_step = f"{SKIP_ADVICE}, or sort them back with --jitter {enough}ms (jitter={enough * 1000})"
        return self._wrong(found, next_step)

    def _wrong(self, found: str, next_step: str) -> NirbridgeError:
        return self._source.error(self._source.name, found, next_step)
