"""Background-activity filter: an event stays if a neighbour saw one shortly before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nirbridge_events.events import Events, Size
from nirbridge_events.filters.base import EventFilter, FilterState, ParseDuration, duration_text, register
from nirbridge_events.filters.loops import NEVER, Loop, Memory
from nirbridge_events.settings import whole_number


@register
@dataclass(frozen=True)
class BackgroundFilter(EventFilter):
    """An event passes if one of its eight neighbours had an event, of either polarity, at most ``within`` before it.

        max over (i, j) in {-1, 0, 1}², not (0, 0), of t_last(x+i, y+j)  >=  t - within

    t_last is of all events, also of those taken out, and of those that came before this one in the stream; pixels
    beyond the border never have any.  A pixel does not support itself, else each hot pixel would.

    Args:
        within: in µs.

    Raises:
        InputError: it is out of range.

    Source: Delbruck, Frame-free dynamic digital vision, 2008.
    """

    within: int
    name: ClassVar[str] = "background"
    takes: ClassVar[str] = "DURATION"

    def __post_init__(self) -> None:
        object.__setattr__(self, "within", whole_number(self.within, "within", 1, 1 << 40))

    def __str__(self) -> str:
        return f"{self.name}={duration_text(self.within)}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        return _State(self.within, sensor_size)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> BackgroundFilter:
        """See ``EventFilter.parse``."""
        return cls(duration(text))


class _State(FilterState):
    def __init__(self, within: int, sensor_size: Size) -> None:
        self._within, (width, height) = within, sensor_size
        self._row = width + 2
        self._last = Memory(np.full(self._row * (height + 2), NEVER))  # with a border that never has events

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        corner = events.y.astype(np.uint32) * np.uint32(self._row) + events.x
        # The earliest time that supports an event, always later than NEVER.
        oldest = np.maximum(events.t, NEVER + 1 + self._within) - self._within
        return events.select(_LOOP.run((corner, oldest, events.t), (self._last,), self._row))


def _keep(at: Any, corner: Any, oldest: Any, t: Any, last: Any, row: int) -> int:
    """``corner`` is the left upper neighbour, in rows of ``row`` pixels."""
    kept = 0
    for i in range(len(t)):
        above = corner[i]
        here, below = above + row, above + 2 * row
        latest = max(last[above], last[above + 1], last[above + 2], last[here])
        latest = max(latest, last[here + 2], last[below], last[below + 1], last[below + 2])
        last[here + 1] = t[i]
        at[kept] = i
        kept += latest >= oldest[i]
    return kept


_LOOP = Loop(_keep)
