"""Choice of a polarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nirbridge_events.events import Size
from nirbridge_events.filters.base import Choice, EventFilter, FilterState, ParseDuration, register
from nirbridge_events.settings import one_of

POLARITIES = ("off", "on")


@register
@dataclass(frozen=True)
class PolarityFilter(EventFilter):
    """An event passes if it is of one polarity.

    Args:
        polarity: "on" (p = 1) or "off" (p = 0).

    Raises:
        InputError: it is neither.
    """

    polarity: str
    name: ClassVar[str] = "polarity"
    takes: ClassVar[str] = "on|off"

    def __post_init__(self) -> None:
        one_of(self.polarity, "filter 'polarity'", POLARITIES)

    def __str__(self) -> str:
        return f"{self.name}={self.polarity}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        wanted = POLARITIES.index(self.polarity)
        return Choice(lambda events: events.p == wanted)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> PolarityFilter:
        """See ``EventFilter.parse``."""
        return cls(text)
