"""Background-activity filter: an event stays if a neighbour saw one shortly before."""

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
        object.__setattr__(self, "within", whole_number(self.within, "within", 1, REACH))

    def __str__(self) -> str:
        return f"{self.name}={duration_text(self.within)}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        width, height = sensor_size
        row = width + 2  # with a border that never has events
        return LoopState(_LOOP, row * (height + 2), (row, 1, 2), self.within)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> BackgroundFilter:
        """See ``EventFilter.parse``."""
        return cls(duration(text))


def _keep(
    x_out: Any, y_out: Any, t_out: Any, p_out: Any, x: Any, y: Any, t: Any, p: Any,
    last: Any, row: int, one: int, two: int, origin: int, within: int,
) -> int:  # fmt: skip
    """The largest of the eight is found pair by pair, without branches, which no processor could foresee."""
    kept = 0
    for i in range(len(t)):
        now, above = t[i] - origin, y[i] * row + x[i]  # the left upper neighbour
        here = above + row
        below = here + row
        upper = max(max(last[above], last[above + one]), max(last[above + two], last[here]))
        lower = max(max(last[here + two], last[below]), max(last[below + one], last[below + two]))
        last[here + one] = now
        x_out[kept], y_out[kept], t_out[kept], p_out[kept] = x[i], y[i], t[i], p[i]
        kept += max(upper, lower) >= now - within
    return kept


_LOOP = Loop(_keep)
