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
_LONG_AGO = np.iinfo(np.int64).min
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

    Source: the token bucket, by which networks shape traffic.
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
        self._bucket = Memory(np.array([full, _LONG_AGO]))

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        return _LOOP.run(events, self._bucket, numbers=(self._rate, self._full, self._fills_in))


def _keep(
    x_out: Any, y_out: Any, t_out: Any, p_out: Any, x: Any, y: Any, t: Any, p: Any,
    bucket: Any, rate: int, full: int, fills_in: int,
) -> int:  # fmt: skip
    """``fills_in`` is after how many µs the bucket is full, whatever it held."""
    kept, content, filled = 0, bucket[0], bucket[1]
    for i in range(len(t)):
        now = t[i]
        if now > filled:
            # Half of each time first: their difference may be more than int64 holds.
            far = now // 2 - filled // 2 > fills_in
            content = full if far else min(content + (now - filled) * rate, full)
            filled = now
        x_out[kept], y_out[kept], t_out[kept], p_out[kept] = x[i], y[i], now, p[i]
        if content >= 1_000_000:
            content -= 1_000_000
            kept += 1
    bucket[0], bucket[1] = content, filled
    return kept


_LOOP = Loop(_keep)
