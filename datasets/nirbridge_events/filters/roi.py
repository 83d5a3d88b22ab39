"""Region of interest: only the events of a part of the sensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nirbridge_events.areas import Area, as_area, moved, parse_area, require_inside, within
from nirbridge_events.events import Size
from nirbridge_events.filters.base import Choice, EventFilter, FilterState, ParseDuration, register


@register
@dataclass(frozen=True)
class RoiFilter(EventFilter):
    """An event passes if it lies in an area; it keeps its place, and the sensor its size.

    It is the area of the encoder's ``crop``, which besides makes the frames that small.

    Args:
        area: (x, y, width, height) in pixels.

    Raises:
        InputError: it is no area.
    """

    area: Area
    name: ClassVar[str] = "roi"
    takes: ClassVar[str] = "X,Y,WxH"

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", as_area(self.area, "filter 'roi'"))

    def __str__(self) -> str:
        x, y, width, height = self.area
        return f"{self.name}={x},{y},{width}x{height}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        require_inside(self.area, sensor_size, "filter 'roi'")
        return Choice(lambda events: within(moved(events, self.area), self.area))

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> RoiFilter:
        """See ``EventFilter.parse``."""
        return cls(parse_area(text, "filter 'roi'"))
