"""The bounded queue between the thread that encodes and the one that runs the network."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from nirbridge_events.windows import Window

POLICIES = ("block", "drop-oldest", "drop-newest")


@dataclass(frozen=True)
class Ready:
    """A window, and two moments on the clock ``time.perf_counter`` [s].

    Attributes:
        window: its frames.
        over: when it ended.
        complete: when it could be handed on, because nothing of it was waited for any more.
        due: a source that can wait is made to wait until then, before a window is dropped for this one.
    """

    window: Window
    over: float
    complete: float
    due: float = -math.inf


class WindowQueue:
    """Holds at most ``capacity`` windows.

    A full queue makes ``put`` wait with policy "block"; it drops the window that has waited longest with
    "drop-oldest", and the one that comes with "drop-newest".  What is dropped is counted.

    A burst costs nothing that the model can make up for: the first window is dropped only when the one that has waited
    longest was complete for ``patience`` seconds.  From then on the model is too slow, and is taken to be so until it
    finds the queue half empty.

    Args:
        capacity: windows that may wait.
        policy: what a full queue does.
        patience: see above [s].
        segment_of: the number of the segment that a window is of; they grow.

    Attributes:
        dropped_windows: windows dropped so far.
        dropped_events: events in them.
        left_windows: windows that nobody took before the queue was closed.
        left_events: events in them.
    """

    def __init__(
        self,
        capacity: int,
        policy: str,
        patience: float = 0.0,
        segment_of: Callable[[Window], int] = lambda window: 0,
    ) -> None:
        self._capacity = capacity
        self._segment_of = segment_of
        self._patience = patience
        self._policy = policy
        self._too_slow = False
        self._items: deque[Ready] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._closed = False
        self._error: BaseException | None = None
        self.dropped_windows = self.dropped_events = 0
        self.left_windows = self.left_events = 0

    @property
    def oldest(self) -> float | None:
        """When the window that waits longest was complete, None if none waits."""
        with self._changed:
            return self._items[0].complete if self._items else None

    def put(self, item: Ready) -> bool:
        """Adds a window, or drops one; False when nobody will take it any more."""
        with self._changed:
            while len(self._items) >= self._capacity and not self._closed:
                left = self._until(item) - time.perf_counter()
                if left <= 0:
                    break
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            if self._closed:
                self._leave(item)
                return False
            if len(self._items) < self._capacity:
                self._items.append(item)
            elif self._policy == "drop-oldest":
                self._drop(self._items.popleft())
                self._items.append(item)
            else:
                self._drop(item)
            self._changed.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """Says that no further window comes, and why if something failed."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def get(self, unit: int = 1, most: int = 1) -> list[Ready]:
        """The next windows of one segment: at least ``unit``, as many multiples of it as wait, at most ``most``.

        Fewer only at the end of a segment, an empty list at the end; the error of ``end`` is raised once every window
        was taken.  Waiting ends when ``unit`` windows are there, so ``unit`` may not exceed the capacity.
        """
        with self._changed:
            while not (size := self._size(unit, most)) and not self._ended and not self._closed:
                self._changed.wait()
            if not self._items:
                if self._error is not None and not self._closed:
                    raise self._error
                return []
            self._too_slow = self._too_slow and len(self._items) > self._capacity // 2
            items = [self._items.popleft() for _ in range(size or len(self._items))]
            self._changed.notify_all()
            return items

    def close(self) -> None:
        """Says that no further window is wanted; who waits in ``get`` or ``put`` returns."""
        with self._changed:
            self._closed = True
            while self._items:
                self._leave(self._items.popleft())
            self._changed.notify_all()

    def _size(self, unit: int, most: int) -> int:
        """How many windows may be taken now, 0 where more of the segment must come first."""
        segments = [self._segment_of(item.window) for item in islice(self._items, most)]
        same = segments.count(segments[0]) if segments else 0
        whole = min(same, most) // unit * unit
        return whole or (same if same < len(self._items) else 0)

    def _until(self, item: Ready) -> float:
        """The moment from which a full queue drops a window for ``item``."""
        if self._policy == "block":
            return math.inf
        return item.due if self._too_slow else max(item.due, self._items[0].complete + self._patience)

    def _drop(self, item: Ready) -> None:
        self._too_slow = True
        self.dropped_windows += 1
        self.dropped_events += item.window.events

    def _leave(self, item: Ready) -> None:
        self.left_windows += 1
        self.left_events += item.window.events
