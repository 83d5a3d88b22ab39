"""Filters one behind the other, with every event checked on its way in and counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import NirbridgeError
from nirbridge_events.events import EVENT_DTYPE, Events, Size, as_events, as_size, narrowed, require_good
from nirbridge_events.filters.base import EventFilter, FilterState
from nirbridge_events.filters.hot_pixels import HotPixelState
from nirbridge_events.filters.loops import compile_at_once


@dataclass(frozen=True)
class FilterReport:
    """What a filter did, up to now.

    Attributes:
        filter: its name and value, as the command line writes it.
        events: events that came to it.
        removed: events that it took out.
        held: events that it holds back at the moment; the others passed.
        notes: what else a user should know, one clause each.
    """

    filter: str
    events: int
    removed: int
    held: int
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """The same, one clause each; none before an event came."""
        if not self.events:
            return []
        share = f" ({100 * self.removed / self.events:.1f} %)"
        counted = f"filter {self.filter}: {self.removed} of {self.events} events were taken out{share}"
        return [counted, *(f"filter {self.filter}: {note}" for note in self.notes)]


class FilterChain:
    """Filters in the order given: each gets what the one before lets through.

    Every event is checked before the first filter, as an encoder does, so that none hides what would be an error.

    Args:
        filters: their configurations.
        sensor_size: (width, height) of the sensor.
        live: whether events come as they happen; then none is held back, and loops are compiled at once.

    Raises:
        InputError: a filter does not fit the sensor.
    """

    def __init__(self, filters: Sequence[EventFilter], sensor_size: Size, live: bool = False) -> None:
        self.filters, self.sensor_size = tuple(filters), as_size(sensor_size, "sensor_size")
        self._live = live
        self.reset()
        if live and filters:
            compile_at_once()
            for one in self.filters:
                one.start(self.sensor_size, live).apply(as_events(np.zeros(1, dtype=EVENT_DTYPE)))

    def reset(self) -> None:
        """Begins anew: no event has come yet."""
        self._states: list[FilterState] = [one.start(self.sensor_size, self._live) for one in self.filters]
        self._came = [0 for _ in self.filters]
        self._passed = [0 for _ in self.filters]
        self._events = 0
        self._last_time: int | None = None

    def apply(self, events: Events | npt.NDArray[Any]) -> Events:
        """The events of a chunk, or of chunks before it, that pass all filters.

        Raises:
            InputError: times go back, a polarity is neither 0 nor 1, or an event lies outside the sensor.
        """
        events = as_events(events)
        require_good(events, self._last_time, self.sensor_size, self._events)
        if len(events):
            self._events, self._last_time = self._events + len(events), int(events.t[-1])
        return self._through(narrowed(events))

    def finish(self) -> Events:
        """The rest, at the end of the stream: what filters held back."""
        events = Events.concatenate([])
        for number in range(len(self._states)):
            rest = self._states[number].finish()
            self._passed[number] += len(rest)
            events = Events.concatenate([events, self._through(rest, number + 1)])
        return events

    def over(self, chunks: Iterable[Events | npt.NDArray[Any]]) -> Iterator[Events]:
        """What passes of a whole stream, from its beginning.

        Unless events come as they happen, a chunk is empty only where an empty one came: that says that the source is
        silent, which one that is filtered out does not.

        Raises:
            NirbridgeError: what ``chunks`` raise, and as of ``apply``; after what was held back until then.
        """
        self.reset()
        try:
            for chunk in chunks:
                passed = self.apply(chunk)
                if len(passed) or not len(chunk) or self._live:
                    yield passed
        except NirbridgeError:
            if len(rest := self.finish()):
                yield rest
            raise
        if len(rest := self.finish()):
            yield rest

    @property
    def reports(self) -> tuple[FilterReport, ...]:
        """What each filter did, up to now."""
        counts = zip(self.filters, self._states, self._came, self._passed, strict=True)
        return tuple(
            FilterReport(str(kind), came, came - passed - state.held, state.held, state.notes())
            for kind, state, came, passed in counts
        )

    @property
    def hot_pixels(self) -> npt.NDArray[np.bool_] | None:
        """The mask [H, W] of all hot-pixel filters; None where there is none, or one still learns."""
        masks = [state.mask for state in self._states if isinstance(state, HotPixelState)]
        known = [mask for mask in masks if mask is not None]
        return np.logical_or.reduce(known) if known and len(known) == len(masks) else None

    def _through(self, events: Events, first: int = 0) -> Events:
        """Through the filters from number ``first`` on."""
        for number in range(first, len(self._states)):
            if not len(events):
                break
            self._came[number] += len(events)
            events = self._states[number].apply(events)
            self._passed[number] += len(events)
        return events
