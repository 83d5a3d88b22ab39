"""Windows of a source as they are over: made from its chunks, each with the moments that its latency counts from."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.encoding import FrameEncoder
from nirbridge_events.events import Events, as_events
from nirbridge_events.live.clock import FORWARD
from nirbridge_events.live.feed import Arrivals, LiveFeed
from nirbridge_events.pacing import ArrivalClock, Pacer
from nirbridge_events.readers.base import Feed
from nirbridge_events.recording import Recording
from nirbridge_events.settings import whole_number
from nirbridge_events.window_queue import Ready
from nirbridge_events.windows import Window


class Arriving:
    """The windows of a source, each given when it is complete.

    Args:
        source: a ``Recording`` or an iterable of chunks; an empty chunk says that nothing came for a moment.
        encoder: makes windows of chunks.
        speed: of ``Pacer``, for a source that is not live.
        grace: how long a window of a silent source waits for events that are on their way [µs].
        stop: ends it when set.

    Attributes:
        live: whether the source is a live one.
        latency_from: what its moments are, a key of ``decisions.LATENCY_FROM``.

    Raises:
        InputError: an argument is out of range, or a live source is given a speed.
    """

    def __init__(
        self,
        source: Recording | Iterable[Events | npt.NDArray[Any]],
        encoder: FrameEncoder,
        speed: float | None,
        grace: int,
        stop: threading.Event,
    ) -> None:
        self._source, self._encoder, self._stop = source, encoder, stop
        self.live = isinstance(source, Recording) and source.live
        if isinstance(source, Recording) and source.live and speed is not None:
            next_step = "Leave it away; a file is paced if its path is given"
            found = f"'real', or a speed, does not go with {source.name}, which has its own pace"
            raise InputError("pace", found, next_step)
        self._pacer = None if self.live else Pacer(speed, stop)
        self.latency_from = "arrival" if self.live else "read" if speed is None else "pace"
        jitter = source.jitter if isinstance(source, Recording) else 0
        self._jitter, self._grace = jitter, whole_number(grace, "grace", 0, 1 << 40)
        self._clock = ArrivalClock(jitter, self._grace)
        self._heard_at = 0.0
        self._passed = 0.0
        """Seconds between the arrivals of the last two chunks."""
        self._shift = 0
        """What the source's clock is behind the windows' [µs]."""
        self._behind_since: float | None = None

    def start(self) -> float:
        """Starts the clock; returns its time [s]."""
        self._heard_at = began = time.perf_counter()
        if self._pacer is not None:
            self._pacer.start(began)
        return began

    def silent_for(self, now: float) -> float | None:
        """Seconds since the last event of a live source, at the moment ``now``; None for another one."""
        return now - self._heard_at if self.live and self._heard_at else None

    def __iter__(self) -> Iterator[Ready]:
        """Yields every window.

        Raises:
            NirbridgeError: what the reader or the encoder found wrong, after every window that was finished.
        """
        for window in self._windows():
            if self._pacer is None:
                over, complete = self._clock.moments_of(window.t_end, time.perf_counter())
                self._clock.forget(window.t_end)
                yield Ready(window, over, complete, self._clock.due(window.t_end))
            else:
                moment = self._pacer.wait(window.t_start, window.t_end)
                yield Ready(window, moment, moment)

    @property
    def _feed(self) -> Feed | None:
        return self._source.current.feed if isinstance(self._source, Recording) else None

    def _windows(self) -> Iterator[Window]:
        for chunk in self._source:
            if self._stop.is_set():
                return
            if self._encoder.ended and self.live:
                break
            chunk = as_events(chunk)
            heard = self._hear(chunk)
            if self.live and len(chunk):
                chunk = self._joined(chunk)
            yield from self._encoder.windows(chunk, most_empty=self._most_empty())
            closed = self._closed_until(len(chunk) > 0 or heard)
            if closed is not None:
                yield from self._encoder.windows_until(closed)
        yield from self._encoder.finish_windows()

    def _joined(self, chunk: Events) -> Events:
        """The events of a live source, joined on where its clock stood still while windows ended without it.

        What was only held up on its way catches up soon; a source that was stopped stays behind.
        """
        closed = self._encoder.closed_until
        if closed is None or int(chunk.t[-1]) + self._shift >= closed:
            self._behind_since = None
        elif self._behind_since is None:
            self._behind_since = self._heard_at
        elif self._heard_at - self._behind_since > self._grace / 1e6 and self._feed is not None:
            self._shift, self._behind_since = closed - int(chunk.t[0]), None
            self._feed.notice("the clock stood still while nothing came; the stream was joined on without the pause")
        return Events(chunk.x, chunk.y, chunk.t + self._shift, chunk.p) if self._shift else chunk

    def _most_empty(self) -> int | None:
        """How many empty windows a chunk may ask for: none of a network many more than there was time for.

        A pipe may hold a sparse recording.
        """
        if not isinstance(self._feed, LiveFeed) or self._feed.patient or self._encoder.settings.per_events is not None:
            return None
        return int(FORWARD + 2e6 * self._passed) // self._encoder.settings.window + 1

    def _hear(self, chunk: Events) -> bool:
        """Notes when the events of a chunk came; whether a pipe brought any, though filters may have taken them out."""
        feed = self._feed
        if isinstance(feed, LiveFeed):
            arrivals = feed.take_arrivals()
        elif len(chunk):
            arrivals = [Arrivals(chunk.t[-1:], np.array([time.perf_counter()]))]
        else:
            return False
        before = self._heard_at
        for each in arrivals:
            since = None if each.since is None else each.since + self._shift
            self._clock.heard(each.tops + self._shift, each.moments, since, each.prompt)
            if len(each.moments):
                self._heard_at = float(each.moments[-1])
        self._passed = self._heard_at - before
        return isinstance(feed, LiveFeed) and feed.patient and any(len(each.tops) for each in arrivals)

    def _closed_until(self, heard: bool) -> int | None:
        """Before which time no event may come any more [µs], as far as what came says so."""
        if not heard:
            silent = self._clock.silent_until(time.perf_counter())
            if silent is not None:
                return silent
        if not self.live or not isinstance(self._source, Recording) or self._source.current.latest is None:
            return None
        # Events may lie outside the sensor or the crop, or be held to be sorted: time goes on all the same.
        return self._source.current.latest + self._shift - self._jitter
