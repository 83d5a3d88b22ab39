"""Refractory filter: a pixel is silent for a while after each event that passed."""

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
class RefractoryFilter(EventFilter):
    """An event passes if the last one that passed at its pixel, of either polarity, is ``dead_time`` or longer ago.

        t - t_last(x, y) >= dead_time;  then t_last(x, y) = t

    Events that are taken out do not prolong the dead time.

    Args:
        dead_time: in µs.

    Raises:
        InputError: it is out of range.

    Source: the dead time of a counter that is not paralysable, as the refractory period of a DVS pixel is.
    """

    dead_time: int
    name: ClassVar[str] = "refractory"
    takes: ClassVar[str] = "DURATION"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dead_time", whole_number(self.dead_time, "dead_time", 1, 1 << 40))

    def __str__(self) -> str:
        return f"{self.name}={duration_text(self.dead_time)}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        return _State(self.dead_time, sensor_size)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> RefractoryFilter:
        """See ``EventFilter.parse``."""
        return cls(duration(text))


class _State(FilterState):
    def __init__(self, dead_time: int, sensor_size: Size) -> None:
        self._dead_time, (self._width, height) = dead_time, sensor_size
        self._last = Memory(np.full(self._width * height, NEVER))

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        place = events.y.astype(np.uint32) * np.uint32(self._width) + events.x
        # A pixel is ready if its last event is not later than this; int64 holds nothing before NEVER.
        ready = np.maximum(events.t, NEVER + self._dead_time) - self._dead_time
        return events.select(_LOOP.run((place, ready, events.t), (self._last,)))


def _keep(at: Any, place: Any, ready: Any, t: Any, last: Any) -> int:
    kept = 0
    for i in range(len(t)):
        if last[place[i]] <= ready[i]:
            last[place[i]] = t[i]
            at[kept] = i
            kept += 1
    return kept


_LOOP = Loop(_keep)
