"""Recordings: an iterator of checked chunks over a file or an array."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge_events.events import Events, Size, as_events, as_size, first_backwards, first_outside
from nirbridge_events.readers import open_source
from nirbridge_events.readers.base import Feed, Source, file_label

CHUNK_EVENTS = 1 << 16
# Sensors that are sold, smallest first: an unknown size is taken to be the first that holds every event.
KNOWN_SENSORS: tuple[Size, ...] = (
    (34, 34), (128, 128), (240, 180), (304, 240), (320, 240), (346, 260), (480, 320), (640, 480), (1280, 720)
)  # fmt: skip


@dataclass
class Recording:
    """A recording that is read chunk by chunk, in bounded memory, as often as wanted.

    Every pass checks the order of times and the geometry.  A chunk that holds a bad event is yielded up to it, then
    the error is raised, so that what came before is not lost.

    Attributes:
        name: how messages name it.
        format: the reader's name, or "array".
        sensor_size: (width, height) in pixels.
        size_origin: "given" (by the caller), "file", "format" (the format's usual sensor) or "inferred" (the smallest
            known sensor that holds every event).
        total_bytes: size of the file, 0 for an array.
        feed: what the current or last pass has read; ``feed.position`` bytes, ``feed.skipped`` words without event.
        events: number of events that the current or last pass has yielded.
    """

    name: str
    format: str
    sensor_size: Size
    size_origin: str
    total_bytes: int
    start_pass: Callable[[], tuple[Feed, Iterator[Events]]]
    error: type[NirbridgeError] = FileError
    feed: Feed = field(default_factory=lambda: Feed(Path(), 0))
    events: int = 0

    def __iter__(self) -> Iterator[Events]:
        """Yields chunks of events.

        Raises:
            FileError: the file is truncated or damaged, holds no event, an event outside the sensor or a time that
                goes back.
            InputError: the same, for an array.
        """
        self.feed, chunks = self.start_pass()
        self.events, previous = 0, None
        for chunk in chunks:
            good, problem = self._check(chunk, previous)
            if good:
                previous = int(chunk.t[good - 1])
                self.events += good
                yield chunk[:good]
            if problem is not None:
                raise problem
        if not self.events:
            raise self.error(self.name, "holds no event", "Record or copy it again")

    @property
    def skipped(self) -> Counter[str]:
        """How many words of each kind the last pass could not turn into events."""
        return self.feed.skipped

    def notes(self) -> list[str]:
        """What a user should know about how this recording was read, one sentence each."""
        width, height = self.sensor_size
        size = {
            "format": f"{self.name}: taken as {width}x{height} pixels, the usual sensor of format '{self.format}'.",
            "inferred": f"{self.name}: does not say its sensor size; its events fit {width}x{height} pixels.",
        }
        notes = [size[self.size_origin]] if self.size_origin in size else []
        return notes + [f"{self.name}: {count} {kind} carry no event." for kind, count in sorted(self.skipped.items())]

    def _check(self, chunk: Events, previous: int | None) -> tuple[int, NirbridgeError | None]:
        """The number of good events at the start of a chunk, and the error of the first bad one."""
        back, outside = first_backwards(chunk.t, previous), first_outside(chunk, self.sensor_size)
        if back is not None and (outside is None or back <= outside):
            before = chunk.t[back - 1] if back else previous
            found = f"event {self.events + back} has time {chunk.t[back]} µs after {before} µs; times must not go back"
            return back, self.error(self.name, found, "The recording is damaged or unsorted; sort or record it again")
        if outside is not None:
            width, height = self.sensor_size
            x, y = chunk.x[outside], chunk.y[outside]
            found = f"event {self.events + outside} lies at ({x}, {y}), outside the sensor of {width}x{height} pixels"
            return outside, self.error(self.name, found, "Give the right sensor size (width, height)")
        return len(chunk), None


def open_recording(
    source: str | os.PathLike[str] | npt.NDArray[Any] | Events, sensor_size: Size | None = None
) -> Recording:
    """Opens a recording; nothing but its header is read, unless its sensor size must be inferred.

    Formats, known by their content: N-MNIST ``.bin``, Event Stream ``.es`` (DVS), Prophesee EVT 2.0 and 3.0 ``.raw``.

    Args:
        source: a path, a structured array with the fields x, y, t [µs] and p, or ``Events``.
        sensor_size: (width, height) in pixels, for recordings that do not say; without it one more pass finds the
            smallest known sensor that holds every event.

    Raises:
        FileError: the file is missing, no regular file, empty, compressed, or of an unknown format.
        InputError: the array lacks a field, or ``sensor_size`` contradicts the file.
    """
    given = None if sensor_size is None else as_size(sensor_size, "sensor_size")
    if isinstance(source, (Events, np.ndarray)):
        return _open_array(as_events(source), given)
    path = Path(source)
    opened = open_source(path)
    name = file_label(path)
    if given and opened.size_is_fixed and opened.sensor_size and given != opened.sensor_size:
        raise InputError(
            name,
            f"is of a sensor of {_by(opened.sensor_size)} pixels, {_by(given)} was given",
            "Give the size that the file states, or a model made for it",
        )

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        feed = Feed(path, opened.offset)
        return feed, opened.decode(feed)

    size, origin = _known_size(opened, given)
    if size is None:
        size, origin = _infer_size(name, FileError, start_pass()[1]), "inferred"
    return Recording(name, opened.format, size, origin, path.stat().st_size, start_pass)


def _known_size(opened: Source, given: Size | None) -> tuple[Size | None, str]:
    if given:
        return given, "file" if given == opened.sensor_size and opened.size_is_fixed else "given"
    return opened.sensor_size, "file" if opened.size_is_fixed else "format"


def _open_array(events: Events, given: Size | None) -> Recording:
    def start_pass() -> tuple[Feed, Iterator[Events]]:
        parts = (events[start : start + CHUNK_EVENTS] for start in range(0, len(events), CHUNK_EVENTS))
        return Feed(Path(), 0), parts

    size = given or _infer_size("array of events", InputError, start_pass()[1])
    origin = "given" if given else "inferred"
    return Recording("array of events", "array", size, origin, 0, start_pass, InputError)


def _infer_size(name: str, error: type[NirbridgeError], chunks: Iterator[Events]) -> Size:
    """The smallest known sensor that holds every event, else one just large enough.

    A file that breaks in the middle is judged by what comes before; reading it will meet the same error again.
    """
    width = height = 0
    try:
        for chunk in chunks:
            if len(chunk):
                width, height = max(width, int(chunk.x.max()) + 1), max(height, int(chunk.y.max()) + 1)
    except FileError:
        if not width:
            raise
    if not width:
        raise error(name, "holds no event", "Record or copy it again")
    fitting = (known for known in KNOWN_SENSORS if known[0] >= width and known[1] >= height)
    return next(fitting, (width, height))


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
