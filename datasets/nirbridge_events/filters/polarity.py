"""Choice of a polarity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nirbridge_events.events import Events, Size
from nirbridge_events.filters.base import EventFilter, FilterState, ParseDuration, register
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
        return _State(POLARITIES.index(self.polarity))

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> PolarityFilter:
        """See ``EventFilter.parse``."""
        return cls(text)


class _State(FilterState):
    def __init__(self, wanted: int) -> None:
        self._wanted = wanted

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        return events.select(events.p == self._wanted)
