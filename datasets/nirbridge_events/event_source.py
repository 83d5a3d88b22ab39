"""Where events are read from: a file, an array, or a live source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nirbridge.errors import FileError, NirbridgeError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.base import Feed

StartPass = Callable[[], tuple[Feed, Iterator[Events]]]
"""Begins at the first event: what the pass will have read so far, and its chunks, not checked yet."""


@dataclass(frozen=True, kw_only=True)
class EventSource:
    """A file, an array or an open stream of events.

    Attributes:
        name: how messages name it.
        format: the reader's name, or "array", "tonic", "udp", "structured".
        sensor_size: (width, height) in pixels.
        size_origin: "given" (by the caller), "file", "format" (the format's usual sensor) or "inferred" (the smallest
            known sensor that holds every event).
        start_pass: begins to read.
        error: the class of errors about it.
        remarks: what a user should know about how it is read, one clause each.
        total_bytes: size of the file, 0 for anything else.
        once: whether it can be read once alone.
    """

    name: str
    format: str
    sensor_size: Size
    size_origin: str
    start_pass: StartPass
    error: type[NirbridgeError] = FileError
    remarks: tuple[str, ...] = ()
    total_bytes: int = 0
    once: bool = False


@dataclass(frozen=True, kw_only=True)
class LiveSource(EventSource):
    """A camera or a program that sends events as they happen, and an empty chunk when nothing came for a moment.

    Attributes:
        close: ends it, from any thread.
    """

    close: Callable[[], None]
    once: bool = True
