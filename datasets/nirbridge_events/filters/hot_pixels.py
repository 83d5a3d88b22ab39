"""Hot-pixel filter: pixels that send events without light changing, given or learned."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events import counting
from nirbridge_events.events import Events, Size, count_before
from nirbridge_events.filters.base import EventFilter, FilterState, ParseDuration, duration_text, register
from nirbridge_events.filters.hot_pixel_masks import as_mask, read_hot_pixels
from nirbridge_events.hot_pixels import Mask, find_hot_pixels
from nirbridge_events.pixels import PixelMap, SumSlice
from nirbridge_events.settings import whole_number

LEARN = 1_000_000
MOST_LEARNED = 1 << 24
"""Events after which learning ends early: so many, 220 MB, are held back at most, and are more than enough."""
put = object.__setattr__


@register
@dataclass(frozen=True, eq=False)
class HotPixelFilter(EventFilter):
    """An event passes if its pixel is not hot.

    Without ``given`` hot pixels are learned (``find_hot_pixels``) from the first ``learn`` µs, counted from the first
    event: all events before that time, but at most 2^24; of a shorter recording from all of it.  Meanwhile events are
    held back, and then filtered like all others.  A live source cannot wait: its events pass while it learns.

    Args:
        given: a mask bool [H, W], True where hot; places [N, 2] of x and y; or the path of a file of either
            (``read_hot_pixels``).
        learn: in µs; 1 s if neither is given.

    Raises:
        InputError: both are given, or ``learn`` is out of range.
        FileError: the file cannot be read.
    """

    given: str | os.PathLike[str] | npt.NDArray[Any] | Sequence[Sequence[int]] | None = None
    learn: int | None = None
    name: ClassVar[str] = "hot-pixels"
    takes: ClassVar[str] = "learn[:DURATION]|FILE"
    _pixels: npt.NDArray[Any] | None = field(init=False, repr=False, default=None)
    _origin: str = field(init=False, repr=False, default="given")

    def __post_init__(self) -> None:
        if self.given is None:
            put(self, "learn", whole_number(LEARN if self.learn is None else self.learn, "learn", 1, 1 << 40))
        elif self.learn is not None:
            raise InputError("filter 'hot-pixels'", "has given pixels and learns too", "Give one of them")
        elif isinstance(self.given, (str, os.PathLike)):
            # Read now, so that what is wrong with a file is said before the work.
            put(self, "_pixels", read_hot_pixels(self.given))
            put(self, "_origin", os.fspath(self.given))
        else:
            put(self, "_pixels", np.asarray(self.given))

    def __str__(self) -> str:
        return f"{self.name}={self._origin if self.learn is None else f'learn:{duration_text(self.learn)}'}"

    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """See ``EventFilter.start``."""
        if self._pixels is None:
            return HotPixelState(sensor_size, self.learn or LEARN, holds=not live)
        where = f"filter '{self.name}'" if self._origin == "given" else f"file '{self._origin}'"
        return HotPixelState(sensor_size, mask=as_mask(self._pixels, sensor_size, where))

    @classmethod
    def parse(cls, text: str, duration: ParseDuration) -> HotPixelFilter:
        """See ``EventFilter.parse``."""
        how, colon, value = text.partition(":")
        if how == "learn":
            return cls(learn=duration(value) if colon else None)
        if not text:
            raise InputError(f"filter '{cls.name}'", "has no value", f"Give {cls.takes}")
        return cls(text)


class HotPixelState(FilterState):
    """Learns, then lets all events pass but those of hot pixels.

    Args:
        sensor_size: (width, height).
        learn: for how long it learns [µs].
        holds: whether events are held back meanwhile.
        mask: the hot pixels, where they are known.

    Attributes:
        mask: bool [H, W], None while it learns.
    """

    def __init__(self, sensor_size: Size, learn: int = 0, holds: bool = False, mask: Mask | None = None) -> None:
        self._width, self._learn, self._holds = sensor_size[0], learn, holds
        self._shape = (sensor_size[1], sensor_size[0])
        self._counts = SumSlice(PixelMap(sensor_size, sensor_size, 1))  # exact up to 2^24, the most that are learned
        self._held: list[Events] = []
        self._learned, self._first, self._last = 0, 0, 0
        self._learns = mask is None
        self.mask = mask

    @property
    def held(self) -> int:
        """See ``FilterState.held``."""
        return sum(len(part) for part in self._held)

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        if self.mask is not None:
            return self._without_hot(events, self.mask)
        stop = self._end_of_learning(events)
        early, rest = events[:stop], events[stop:]
        passed = self._take(early) if stop else early
        if not len(rest):
            return passed
        return Events.concatenate([passed, self.finish(), self.apply(rest)])

    def finish(self) -> Events:
        """See ``FilterState.finish``; ends learning."""
        if self.mask is None:
            self.mask = find_hot_pixels(self._counts.take().reshape(self._shape))
        held, self._held = self._held, []
        return Events.concatenate([self._without_hot(part, self.mask) for part in held])

    def notes(self) -> tuple[str, ...]:
        """See ``FilterState.notes``."""
        if self.mask is None:
            return (f"still learns hot pixels from {self._learned} events",)
        count = int(self.mask.sum())
        if not self._learns:
            return (f"{count} hot pixels are given",)
        span = f"{(self._last - self._first) / 1e6:.3g} s"
        meanwhile = "" if self._holds else ", which passed as they came"
        return (f"{count} hot pixels found in {self._learned} events of the first {span}{meanwhile}",)

    def _end_of_learning(self, events: Events) -> int:
        """The first event of a chunk that is not learned from."""
        if not self._learned and len(events):
            self._first = int(events.t[0])
        stop = count_before(events.t, self._first + self._learn)
        return min(stop, MOST_LEARNED - self._learned)

    def _take(self, events: Events) -> Events:
        """Learns from events; gives those back that are not held."""
        self._learned += len(events)
        counting.load_for(self._learned)
        self._counts.add(events)
        self._last = int(events.t[-1])
        if not self._holds:
            return events
        self._held.append(events)
        return events[:0]

    def _without_hot(self, events: Events, mask: Mask) -> Events:
        place = np.multiply(events.y, self._width, dtype=np.intp)
        hot = mask.reshape(-1).take(np.add(place, events.x, out=place))
        return events.select(~hot) if hot.any() else events
