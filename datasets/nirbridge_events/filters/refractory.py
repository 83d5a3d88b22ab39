"""Refractory filter: a pixel is silent for a while after each event that passed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nirbridge_events.events import Size
from nirbridge_events.filters.base import EventFilter, FilterState, ParseDuration, duration_text, register
from nirbridge_events.filters.loops import Loop
from nirbridge_events.filters.recent_times import REACH, LoopState
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
        object.__setattr__(self, "dead_time", whole_number(self.dead_time, "dead_time", 1, REACH))

    def __str__(self) -> str:
        return f"{self.name}={duration_text(self.dead_time)}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        width, height = sensor_size
        return LoopState(_LOOP, width * height, (width,), self.dead_time)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> RefractoryFilter:
        """See ``EventFilter.parse``."""
        return cls(duration(text))


def _keep(
    x_out: Any, y_out: Any, t_out: Any, p_out: Any, x: Any, y: Any, t: Any, p: Any,
    last: Any, width: int, origin: int, dead_time: int,
) -> int:  # fmt: skip
    kept = 0
    for i in range(len(t)):
        now, place = t[i] - origin, y[i] * width + x[i]
        if last[place] <= now - dead_time:
            last[place] = now
            x_out[kept], y_out[kept], t_out[kept], p_out[kept] = x[i], y[i], t[i], p[i]
            kept += 1
    return kept


_LOOP = Loop(_keep)
