"""What a filter of events is: a frozen configuration, found by its name, and the state of one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size

ParseDuration = Callable[[str], int]
"""Whole µs of a text such as 10ms."""


class FilterState:
    """What a filter keeps in mind during one pass over events.

    Chunks come in order, are checked, and may be cut anywhere: the events that ``apply`` and, at the end, ``finish``
    give are the same, whatever the cuts.
    """

    @property
    def held(self) -> int:
        """Events held back at the moment."""
        return 0

    def apply(self, events: Events) -> Events:
        """The events that pass, of these and of those held back before."""
        raise NotImplementedError

    def finish(self) -> Events:
        """What was held back, at the end of the stream."""
        return Events.concatenate([])

    def notes(self) -> tuple[str, ...]:
        """What a user should know about it, one clause each."""
        return ()


class Choice(FilterState):
    """Lets those events pass for which ``passes`` says so, whatever came before."""

    def __init__(self, passes: Callable[[Events], npt.NDArray[np.bool_]]) -> None:
        self._passes = passes

    def apply(self, events: Events) -> Events:
        """See ``FilterState.apply``."""
        return events.select(self._passes(events))


class EventFilter(ABC):
    """The configuration of a filter: a frozen dataclass, whose ``str`` is how the command line writes it.

    Attributes:
        name: how the command line calls it.
        takes: what comes behind the name there, for help and messages.
    """

    name: ClassVar[str]
    takes: ClassVar[str]

    @abstractmethod
    def start(self, sensor_size: Size, live: bool) -> FilterState:
        """The state at the beginning of a stream.

        Args:
            sensor_size: (width, height); every event lies on it.
            live: whether events come as they happen, so that none may be held back.

        Raises:
            InputError: the filter does not fit this sensor.
        """

    @classmethod
    @abstractmethod
    def parse(cls, text: str, duration: ParseDuration) -> EventFilter:
        """The filter that the command line writes as name=text.

        Raises:
            InputError: the text is no value of it.
        """


FILTERS: dict[str, type[EventFilter]] = {}
"""Every filter by its name; the files of this folder fill it."""

F = TypeVar("F", bound=type[EventFilter])


def register(kind: F) -> F:
    """Puts a filter into the table; a decorator of its class."""
    FILTERS[kind.name] = kind
    return kind


def parse_filter(text: str, duration: ParseDuration) -> EventFilter:
    """A filter from its name and value, as "refractory=1ms".

    Raises:
        InputError: no filter has that name, or the value is none of its values.
    """
    name, equals, value = text.partition("=")
    if name not in FILTERS or not equals:
        known = ", ".join(f"{kind.name}={kind.takes}" for _, kind in sorted(FILTERS.items()))
        found = f"'{text[:60]}' is no filter" if name not in FILTERS else f"'{name}' has no value"
        raise InputError(f"filter '{name[:40]}'", found, f"Known are {known}")
    return FILTERS[name].parse(value, duration)


def duration_text(microseconds: int) -> str:
    """A length of time as the command line writes it."""
    for unit, length in (("s", 1_000_000), ("ms", 1_000)):
        if microseconds % length == 0:
            return f"{microseconds // length}{unit}"
    return f"{microseconds}us"
