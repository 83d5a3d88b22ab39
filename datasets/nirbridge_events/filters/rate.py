"""Rate limit: no more events than a reader behind it can take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size
from nirbridge_events.filters.base import EventFilter, FilterState, ParseDuration, register
from nirbridge_events.filters.loops import Loop, Memory
from nirbridge_events.settings import whole_number

MOST = 1 << 30
MILLION = 1_000_000
_TEXT = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)([kMG]?)")
_FACTORS = {"": 1, "k": 1_000, "M": MILLION, "G": 1_000 * MILLION}


@register
@dataclass(frozen=True)
class RateFilter(EventFilter):
    """A bucket of tokens: an event passes if there is a token, and takes it.

    The bucket is full at first and holds ``burst`` tokens; ``rate`` of them come in every second, in whole millionths
    of a token a µs, and what does not fit is lost.  So any stretch of L seconds lets at most rate·L + burst events
    through, evenly over time while there are too many; which of them depends on the recorded times alone.

    Args:
        rate: events a second.
        burst: events that may come at once; by default those of 1 ms, at least 1.

    Raises:
        InputError: one of them is out of range.

    Source: the token bucket of traffic shaping; with another bucket, the event rate control of sensors.
    """

    rate: int
    burst: int | None = None
    name: ClassVar[str] = "rate"
    takes: ClassVar[str] = "EVENTS_PER_SECOND"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", whole_number(self.rate, "rate", 1, MOST))
        burst = max(1, self.rate // 1000) if self.burst is None else self.burst
        object.__setattr__(self, "burst", whole_number(burst, "burst", 1, MOST))

    def __str__(self) -> str:
        return f"{self.name}={self.rate}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        return _State(self.rate, (self.burst or 1) * MILLION)

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> RateFilter:
        """See ``EventFilter.parse``."""
        match = _TEXT.fullmatch(text)
        rate = Fraction(match[1]) * _FACTORS[match[2]] if match else Fraction(0)
        if rate.denominator != 1 or not 1 <= rate <= MOST:
            found = f"'{text[:40]}' is not a whole number of events a second in 1..{MOST}"
            raise InputError("filter 'rate'", found, "Give it as 2M, 500k or 1500")
        return cls(int(rate))


class _State(FilterState):
    def __init__(self, rate: int, full: int) -> None:
        self._rate, self._full = rate, full
        self._fills_in = -(-full // rate)
        self._bucket = Memory(np.array([full]))
        self._last: int | None = None

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        if not len(events):
            return events
        before = int(events.t[0]) if self._last is None else self._last
        self._last = int(events.t[-1])
        # Steps of time are never negative; as unsigned numbers they are right however far times lie apart.
        steps = np.diff(events.t.view(np.uint64), prepend=np.array([before]).view(np.uint64))
        grown = np.minimum(steps, np.uint64(self._fills_in)).astype(np.int64) * self._rate
        return events.select(_LOOP.run((grown,), (self._bucket,), self._full))


def _keep(at: Any, grown: Any, bucket: Any, full: int) -> int:
    kept, content = 0, bucket[0]
    for i in range(len(grown)):
        content = min(content + grown[i], full)
        if content >= 1_000_000:
            content -= 1_000_000
            at[kept] = i
            kept += 1
    bucket[0] = content
    return kept


_LOOP = Loop(_keep)
