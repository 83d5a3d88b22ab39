"""Recordings and live sources: an iterator of checked chunks over a file, an array or a stream."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge_events.event_source import EventSource, LiveSource
from nirbridge_events.events import Events, Size, as_events, as_size, count_before
from nirbridge_events.filters.base import EventFilter
from nirbridge_events.live import open_stdin, open_udp
from nirbridge_events.one_pass import Pass
from nirbridge_events.read_report import ReadReport
from nirbridge_events.readers import open_source, tonic_sets
from nirbridge_events.readers.base import Feed, file_label, total_bytes
from nirbridge_events.readers.order import JITTER
from nirbridge_events.readers.wanted import Wanted, as_wanted
from nirbridge_events.screening import POLICIES
from nirbridge_events.sensors import infer_size
from nirbridge_events.settings import one_of

CHUNK_EVENTS = 1 << 16


class Recording:
    """A recording that is read chunk by chunk, in bounded memory, as often as wanted; or a live source.

    Every pass checks the order of times and the geometry (``screening.Screen``).  Times that go back by no more than
    ``jitter`` µs are sorted.  With ``bad_events`` "error" nothing is read beyond a bad event: what came before is
    yielded, then the error is raised; with "skip" bad events are left out and counted.  A live source yields an empty
    chunk whenever nothing came for a moment, ends when it is closed or idle for too long, and is read once.

    Args:
        source: where the events are read from.
        jitter: how far times may go back [µs].
        bad_events: "error" or "skip"; by default "skip" for a live source, whose camera goes on, and "error" else.
        filters: what events go through after these checks, in this order; each pass begins anew with them.

    Attributes:
        current: the current or last pass, what it has read and met.
    """

    def __init__(
        self,
        source: EventSource,
        jitter: int = JITTER,
        bad_events: str | None = None,
        filters: Sequence[EventFilter] = (),
    ) -> None:
        self.source, self.jitter, self.filters = source, jitter, tuple(filters)
        self.bad_events = bad_events or ("skip" if self.live else "error")
        self.current = self._new_pass()
        self._started = False

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Events]:
        """Yields chunks of events from the beginning; see ``read``."""
        return self.read()

    @property
    def name(self) -> str:
        """How messages name it."""
        return self.source.name

    @property
    def sensor_size(self) -> Size:
        """(width, height) in pixels."""
        return self.source.sensor_size

    @property
    def live(self) -> bool:
        """Whether it is a live source."""
        return isinstance(self.source, LiveSource)

    @property
    def report(self) -> ReadReport:
        """What the current or last pass has met."""
        return self.current.report

    def read(self, from_event: int = 0, from_time: int | None = None) -> Iterator[Events]:
        """Yields chunks of events, from event number ``from_event`` on and from time ``from_time`` [µs] on.

        A pass that was broken off continues with ``read(from_event=recording.report.events)``, event by event the
        same.  What lies before is decoded again, not kept.

        Raises:
            FileError: the file is damaged, holds no event, or, unless they are skipped, an event outside the sensor or
                a time that goes back by more than ``jitter``; or more events are bad than good.
            InputError: the same, for an array; or a live source is read a second time.
        """
        if self.source.once and (self._started or from_event or from_time is not None):
            raise InputError(self.name, "is read once, from where it is", "Open it again")
        self._started = True
        reading = self.current = self._new_pass()
        for chunk in reading:
            start = max(0, from_event - (reading.events - len(chunk)))
            if from_time is not None and len(chunk):
                start = max(start, count_before(chunk.t, from_time))
            if start < len(chunk) or self.live:
                yield chunk[start:]
        if not reading.events and not self.live:
            raise self._nothing(reading)

    def close(self) -> None:
        """Ends a live source, from any thread; whoever reads it comes to its end.  Harmless when repeated."""
        if isinstance(self.source, LiveSource):
            self.source.close()

    def notes(self) -> list[str]:
        """What a user should know about how this recording was read, one sentence each."""
        source, (width, height) = self.source, self.sensor_size
        size = {
            "format": f"taken as {width}x{height} pixels, the usual sensor of format '{source.format}'",
            "inferred": f"does not say its sensor size; its events fit {width}x{height} pixels",
        }
        notes = [size[source.size_origin]] if source.size_origin in size else []
        return [f"{self.name}: {note}." for note in (*notes, *source.remarks, *self.report.lines())]

    def _new_pass(self) -> Pass:
        return Pass(self.source, self.jitter, self.bad_events, self.filters)

    def _nothing(self, reading: Pass) -> NirbridgeError:
        """Why a pass came to its end without any event."""
        filtered = reading.filters.reports
        if not filtered or not filtered[0].events:
            return self.source.error(self.name, "holds no event", "Record or copy it again")
        counts = ", ".join(f"{one.filter} took out {one.removed}" for one in filtered)
        found = f"none of {filtered[0].events} events passes the filters: {counts}"
        return self.source.error(self.name, found, "Loosen them, or leave one away")


def open_recording(
    source: str | os.PathLike[str] | npt.NDArray[Any] | Events,
    sensor_size: Size | None = None,
    jitter: int = JITTER,
    bad_events: str | None = None,
    *,
    filters: Sequence[EventFilter] = (),
    columns: str | Sequence[str] | None = None,
    time_unit: str | None = None,
    camera: str | int | None = None,
    sample: int | None = None,
) -> Recording:
    """Opens a recording or a live source; of a file only the header is read, unless its sensor size must be inferred.

    Files, known by their content: N-MNIST ``.bin``, Event Stream ``.es`` (DVS), Prophesee EVT 2.0, 2.1 and 3.0
    ``.raw``, ``.dat`` and HDF5, AEDAT 2.0, 3.1 and 4.0, bags of ROS 1 and 2 (a file or a folder), CSV, ``.npy`` and
    ``.npz``.  Besides, ``tonic:NAME?root=DIR`` (``nirbridge_events.readers.tonic_sets``), ``udp://HOST:PORT`` and the
    standard input, ``-`` or ``stdin:?format=FORMAT`` (``nirbridge_events.live``).

    Args:
        source: a path or one of these names, a structured array with the fields x, y, t [µs] and p, or ``Events``.
        sensor_size: (width, height) in pixels, for recordings that do not say; without it one more pass finds the
            smallest known sensor that holds every event.  Live sources need it.
        jitter: how far times may go back [µs]; such events are sorted.
        bad_events: what becomes of events outside the sensor, of times that go back further, and of words that the
            format does not have: "error" ends the reading at the first, "skip" leaves them out and counts them
            (``Recording.report``).  By default "error" for recordings, however they are used, and "skip" for live
            sources.  A cut last word is left out and counted in any case.
        filters: what events go through once they are checked and in order, one behind the other.
        columns: of a table without names, "t", "x", "y", "p" or "_" for each column, as "x,y,p,t".
        time_unit: of a table, "s", "ms", "us" or "ns"; counts more than what its names or values say.
        camera: name or number of the camera that is read where a file holds several; an int is a number, a text of
            digits one or the other.
        sample: number of the sample that is read where a file holds several.

    Raises:
        FileError: the file is missing, no regular file, empty, compressed, or of an unknown format.
        InputError: the array lacks a field, ``sensor_size`` contradicts the file, the name of a source is wrong, the
            file can be read in several ways and no option chooses one, an option does not apply to it, or a filter
            does not fit its sensor.
    """
    given = None if sensor_size is None else as_size(sensor_size, "sensor_size")
    if isinstance(jitter, bool) or not isinstance(jitter, (int, np.integer)) or not 0 <= jitter <= 10**9:
        raise InputError("jitter", f"{jitter!r} is not a number of µs in 0..10^9", "Give for instance 1000")
    policy = None if bad_events is None else one_of(bad_events, "bad_events", POLICIES)
    return Recording(_open(source, as_wanted(given, columns, time_unit, camera, sample)), int(jitter), policy, filters)


def _open(source: Any, wanted: Wanted) -> EventSource:
    if isinstance(source, (Events, np.ndarray)):
        wanted.require_known("array of events", "an array with names and times in µs", frozenset())
        return _open_array(as_events(source), wanted.sensor_size)
    text = os.fspath(source)
    scheme = _scheme(text)
    return _SCHEMES[scheme](text, wanted) if scheme else _open_file(Path(source), wanted)


def is_live_name(source: Any) -> bool:
    """Whether a source is named as one that may be live, so that opening it may wait for it."""
    return isinstance(source, (str, os.PathLike)) and _scheme(os.fspath(source)) in ("udp://", "stdin:", "-")


def _scheme(text: str) -> str | None:
    """How the name of a source begins that is no path."""
    for begin in _SCHEMES:
        if text.startswith(begin) and (begin != "-" or text == "-" or text.startswith("-?")):
            return begin
    return None


def _open_file(path: Path, wanted: Wanted) -> EventSource:
    opened, name = open_source(path, wanted), file_label(path)

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        feed = Feed(path, opened.offset)
        return feed, opened.decode(feed)

    size, origin = opened.agreed_size(name, wanted.sensor_size)
    if size is None:
        size, origin = infer_size(name, FileError, start_pass), "inferred"
    return EventSource(
        name=name,
        format=opened.format,
        sensor_size=size,
        size_origin=origin,
        start_pass=start_pass,
        remarks=opened.notes,
        total_bytes=total_bytes(path),
    )


def _open_array(events: Events, given: Size | None, name: str = "array of events") -> EventSource:
    def start_pass() -> tuple[Feed, Iterator[Events]]:
        parts = (events[start : start + CHUNK_EVENTS] for start in range(0, len(events), CHUNK_EVENTS))
        return Feed(Path(), 0), parts

    return EventSource(
        name=name,
        format="array",
        sensor_size=given or infer_size(name, InputError, start_pass),
        size_origin="given" if given else "inferred",
        start_pass=start_pass,
        error=InputError,
    )


def _open_tonic(source: str, wanted: Wanted) -> EventSource:
    wanted.require_known(f"source '{source}'", "a data set that tonic reads", frozenset())
    events, size = tonic_sets.load(source)
    given = wanted.sensor_size
    if isinstance(events, Path):
        return _open_file(events, Wanted(given or size))
    opened = _open_array(events, given or size, f"source '{source}'")
    return replace(opened, format="tonic", size_origin="format" if size and not given else opened.size_origin)


_SCHEMES: dict[str, Callable[[str, Wanted], EventSource]] = {
    tonic_sets.SCHEME: _open_tonic,
    "udp://": open_udp,
    "stdin:": open_stdin,
    "-": open_stdin,
}
