"""A thread that waits for a source, so that who reads it can go on while nothing comes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator

import numpy as np

from nirbridge_events.events import Events
from nirbridge_events.live.clock import Restarts
from nirbridge_events.live.feed import Arrivals
from nirbridge_events.live.stream_feed import StreamFeed

HEARTBEAT = 0.01
"""After so many seconds without events an empty chunk is given."""
WAITING_CHUNKS = 2
"""What was read and not taken; beyond it the pipe fills, and its writer waits."""
PUT_SECONDS = 0.1

_NONE = Events.concatenate([])


def pumped(chunks: Iterator[Events], feed: StreamFeed) -> Iterator[Events]:
    """Chunks as they come, an empty one at each heartbeat; a clock that starts again is joined on.

    Raises:
        NirbridgeError: what ``chunks`` raised, after everything that came before.
    """
    pump = _Pump(chunks, feed)
    restarts = Restarts()
    top: int | None = None
    try:
        while (item := pump.take()) is not None:
            events, moment, prompt = item
            if len(events):
                t = restarts.join(events.t)
                feed.resyncs = restarts.count
                events = Events(events.x, events.y, t, events.p)
                top = int(t.max()) if top is None else max(top, int(t.max()))
                feed.arrived(Arrivals(np.array([top]), np.array([moment]), int(t.min()), prompt))
            yield events
    finally:
        feed.closing.set()


class _Pump:
    def __init__(self, chunks: Iterator[Events], feed: StreamFeed) -> None:
        self._chunks, self._feed = chunks, feed
        self._waiting: queue.Queue[tuple[Events, float, bool] | BaseException | None]
        self._waiting = queue.Queue(WAITING_CHUNKS)
        threading.Thread(target=self._run, name="nirbridge-stdin", daemon=True).start()

    def take(self) -> tuple[Events, float, bool] | None:
        """A chunk, when it was read, whether it was waited for; an empty one after HEARTBEAT; None at the end."""
        try:
            item = self._waiting.get(timeout=HEARTBEAT)
        except queue.Empty:
            return _NONE, 0.0, False
        if isinstance(item, BaseException):
            raise item
        return item

    def _run(self) -> None:
        try:
            for chunk in self._chunks:
                if len(chunk) and not self._put((chunk, self._feed.read_at, self._feed.waited)):
                    return
            self._put(None)
        except BaseException as error:
            self._put(error)

    def _put(self, item: tuple[Events, float, bool] | BaseException | None) -> bool:
        """Waits for room; False when nobody reads any more."""
        while True:
            try:
                self._waiting.put(item, timeout=PUT_SECONDS)
            except queue.Full:
                if self._feed.closing.is_set():
                    return False
            else:
                return True
