"""What a service hears of a stream: that it began, what it loses while it runs, and how it ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from nirbridge.logs import logger
from nirbridge_events.decisions import StreamSummary
from nirbridge_events.watching import StreamStatus, Watch

LOGGER = logger("events.stream")
INTERVAL = 0.1
"""Seconds between two looks at a stream."""


class StreamLog:
    """Logs at INFO what :class:`~nirbridge_events.watching.Watch` says, and begin and end.

    Args:
        name: what the source is called.
        budget_ms: how long after its window was complete a decision may come; None for any time.
    """

    def __init__(self, name: str, budget_ms: float | None) -> None:
        self._name, self._watch = name, Watch(name, budget_ms)
        self._looked = 0.0
        self._open = False

    def began(self, policy: str, readout: str) -> None:
        """The reading thread starts."""
        self._open = True
        LOGGER.info("%s: stream begins, policy %s, readout %s", self._name, policy, readout)

    def look(self, status: Callable[[], StreamStatus]) -> None:
        """Behind a decision; costs nothing where nobody listens."""
        now = time.monotonic()
        if not LOGGER.isEnabledFor(logging.INFO) or now - self._looked < INTERVAL:
            return
        self._looked = now
        self._say(status(), now)

    def ended(self, status: Callable[[], StreamStatus], summary: Callable[[], StreamSummary]) -> None:
        """The stream is over, once."""
        if not self._open or not LOGGER.isEnabledFor(logging.INFO):
            return
        self._open = False
        self._say(status(), time.monotonic())
        found = summary()
        how = "interrupted" if found.interrupted else "complete"
        LOGGER.info(
            "%s: stream ends, %s: %d decisions on %d windows of %d events in %.1f s; "
            "windows dropped %d, events late %d, outside %d",
            *(self._name, how, found.decisions, found.windows, found.events, found.seconds),
            *(found.dropped_windows, found.late, found.outside),
        )

    def _say(self, status: StreamStatus, now: float) -> None:
        for line in self._watch.lines(status, now):
            LOGGER.info("%s", line)
