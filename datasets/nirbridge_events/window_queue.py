"""The bounded queue between the thread that encodes and the one that runs the network."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from nirbridge_events.windows import Window

POLICIES = ("block", "drop-oldest")


@dataclass(frozen=True)
class Ready:
    """A window and the moment it was complete, on the clock ``time.perf_counter`` [s]."""

    window: Window
    completed: float


class WindowQueue:
    """Holds at most ``capacity`` windows.

    With policy "block" a full queue makes ``put`` wait; with "drop-oldest" it drops the window that has waited
    longest and counts it.

    Attributes:
        dropped_windows: windows dropped so far.
        dropped_events: events in them.
    """

    def __init__(self, capacity: int, policy: str) -> None:
        self._capacity = capacity
        self._drops = policy == "drop-oldest"
        self._items: deque[Ready] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped_windows = 0
        self.dropped_events = 0

    def put(self, item: Ready) -> bool:
        """Adds a window; False when nobody will take it any more."""
        with self._changed:
            while not self._drops and len(self._items) >= self._capacity and not self._closed:
                self._changed.wait()
            if self._closed:
                return False
            if len(self._items) >= self._capacity:
                oldest = self._items.popleft()
                self.dropped_windows += 1
                self.dropped_events += oldest.window.events
            self._items.append(item)
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Says that no further window comes, and why if something failed."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self) -> Ready | None:
        """The next window; None at the end; the error of ``end`` is raised once every window was taken."""
        with self._changed:
            while not self._items and not self._ended:
                self._changed.wait()
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            if self._error is not None:
                raise self._error
            return None

    def close(self) -> None:
        """Says that no further window is wanted."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
