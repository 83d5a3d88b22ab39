"""Recordings and live sources: an iterator of checked chunks over a file, an array or a stream."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge_events.events import Events, Size, as_events, as_size, inside
from nirbridge_events.read_report import ReadReport
from nirbridge_events.readers import open_source, tonic_sets
from nirbridge_events.readers.base import Feed, Source, file_label
from nirbridge_events.readers.order import JITTER
from nirbridge_events.readers.wanted import Wanted, as_wanted
from nirbridge_events.screening import POLICIES, Screen
from nirbridge_events.settings import one_of

CHUNK_EVENTS = 1 << 16
# Sensors that are sold, smallest first: an unknown size is taken to be the first that holds every event.
KNOWN_SENSORS: tuple[Size, ...] = (
    (34, 34), (128, 128), (240, 180), (304, 240), (320, 240), (346, 260), (480, 320), (640, 480), (1280, 720)
)  # fmt: skip
# No sensor is larger: events beyond say nothing about the size.
LARGEST: Size = (4096, 4096)
# Such a share of events beyond the largest known sensor are strays; more are those of a larger sensor.
STRAY_SHARE = 1e-3


@dataclass
class Recording:
    """A recording that is read chunk by chunk, in bounded memory, as often as wanted; or a live source.

    Every pass checks the order of times and the geometry (``screening.Screen``).  Times that go back by no more than
    ``jitter`` µs are sorted.  With ``bad_events`` "error" nothing is read beyond a bad event: what came before is
    yielded, then the error is raised; with "skip" bad events are left out and counted.  A live source yields an empty
    chunk whenever nothing came for a moment, ends when it is closed or idle for too long, and is read once.

    Attributes:
        name: how messages name it.
        format: the reader's name, or "array", "tonic", "udp", "stdin".
        sensor_size: (width, height) in pixels.
        size_origin: "given" (by the caller), "file", "format" (the format's usual sensor) or "inferred" (the smallest
            known sensor that holds every event).
        total_bytes: size of the file, 0 for anything else.
        feed: what the current or last pass has read; ``feed.position`` bytes, ``feed.skipped`` words without event.
        events: number of events that the current or last pass has yielded, from its first.
        jitter: how far times may go back [µs].
        live: whether it is a live source.
        bad_events: "error" or "skip"; by default "skip" for a live source, whose camera goes on, and "error" else.
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
    jitter: int = JITTER
    live: bool = False
    remarks: tuple[str, ...] = ()
    on_close: Callable[[], None] = lambda: None
    once: bool = False
    bad_events: str = ""
    _started: bool = False

    def __post_init__(self) -> None:
        self.bad_events = self.bad_events or ("skip" if self.live else "error")
        self._screen = self._new_screen()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Events]:
        """Yields chunks of events from the beginning; see ``read``."""
        return self.read()

    def read(self, from_event: int = 0, from_time: int | None = None) -> Iterator[Events]:
        """Yields chunks of events, from event number ``from_event`` on and from time ``from_time`` [µs] on.

        A pass that was broken off continues with ``read(from_event=recording.events)``, event by event the same.
        What lies before is decoded again, not kept.

        Raises:
            FileError: the file is damaged, holds no event, or, unless they are skipped, an event outside the sensor or
                a time that goes back by more than ``jitter``; or more events are bad than good.
            InputError: the same, for an array; or a live source is read a second time.
        """
        if self.once and (self._started or from_event or from_time is not None):
            raise InputError(self.name, "is read once, from where it is", "Open it again")
        self._started = True
        seen = 0
        for chunk in self._checked():
            start = max(0, from_event - seen)
            if from_time is not None and len(chunk):
                start = max(start, int(np.searchsorted(chunk.t, from_time)))
            seen += len(chunk)
            self.events = seen
            if start < len(chunk) or self.live:
                yield chunk[start:]
        if not self.events and not self.live:
            raise self.error(self.name, "holds no event", "Record or copy it again")

    def close(self) -> None:
        """Ends a live source, from any thread; whoever reads it comes to its end.  Harmless when repeated."""
        self.on_close()

    @property
    def latest(self) -> int | None:
        """The latest time that the current pass has met [µs]; events of ``jitter`` before it may still come."""
        return self._screen.order.top

    @property
    def skipped(self) -> Counter[str]:
        """How many words of each kind the last pass could not turn into events."""
        return self.feed.skipped

    @property
    def report(self) -> ReadReport:
        """What the current or last pass has met."""
        screen, order, feed = self._screen, self._screen.order, self.feed
        return ReadReport(
            events=self.events,
            sorted_events=order.sorted_events,
            late_events=screen.late,
            ahead_events=screen.ahead,
            outside_events=screen.outside,
            longest_back_us=screen.longest_back,
            wraps=feed.wraps,
            jumps=order.jumps,
            longest_jump_us=order.longest_jump,
            resyncs=feed.resyncs,
            skipped=dict(feed.skipped),
            # Another thread may read the report while the pass goes on: a copy is made in one go.
            lost={kind: count for kind, count in dict(feed.lost).items() if count},
            notices=tuple(feed.notices),
        )

    def notes(self) -> list[str]:
        """What a user should know about how this recording was read, one sentence each."""
        width, height = self.sensor_size
        size = {
            "format": f"taken as {width}x{height} pixels, the usual sensor of format '{self.format}'",
            "inferred": f"does not say its sensor size; its events fit {width}x{height} pixels",
        }
        notes = [size[self.size_origin]] if self.size_origin in size else []
        return [f"{self.name}: {note}." for note in (*notes, *self.remarks, *self.report.lines())]

    def _new_screen(self) -> Screen:
        fixed = self.size_origin == "file"
        return Screen(self.name, self.error, self.sensor_size, fixed, self.jitter, self.bad_events, self.live)

    def _checked(self) -> Iterator[Events]:
        """All events in order; after them the error that ended the pass, if one did."""
        self.feed, chunks = self.start_pass()
        self.feed.skip_bad = self.bad_events == "skip"
        self._screen, self.events = self._new_screen(), 0
        problem: NirbridgeError | None = None
        while problem is None:
            try:
                chunk = next(chunks, None)
            except NirbridgeError as error:
                chunk, problem = None, error
            if chunk is None:
                break
            ready, problem = self._screen.take(chunk)
            if len(ready) or self.live:
                yield ready
        rest, too_many = self._screen.finish()
        if len(rest):
            yield rest
        if problem := problem or too_many:
            raise problem


def open_recording(
    source: str | os.PathLike[str] | npt.NDArray[Any] | Events,
    sensor_size: Size | None = None,
    jitter: int = JITTER,
    bad_events: str | None = None,
    *,
    columns: str | Sequence[str] | None = None,
    time_unit: str | None = None,
    camera: str | int | None = None,
    sample: int | None = None,
) -> Recording:
    """Opens a recording or a live source; of a file only the header is read, unless its sensor size must be inferred.

    Files, known by their content: N-MNIST ``.bin``, Event Stream ``.es`` (DVS), Prophesee EVT 2.0, 2.1 and 3.0
    ``.raw``, ``.dat`` and HDF5, AEDAT 2.0, 3.1 and 4.0, CSV, ``.npy`` and ``.npz``.  Besides, ``tonic:NAME?root=DIR``
    (``nirbridge_events.readers.tonic_sets``), ``udp://HOST:PORT`` and the standard input, ``-`` or
    ``stdin:?format=FORMAT`` (``nirbridge_events.live``).

    Args:
        source: a path or one of these names, a structured array with the fields x, y, t [µs] and p, or ``Events``.
        sensor_size: (width, height) in pixels, for recordings that do not say; without it one more pass finds the
            smallest known sensor that holds every event.  Live sources need it.
        jitter: how far times may go back [µs]; such events are sorted.
        bad_events: what becomes of events outside the sensor, of times that go back further, and of words that the
            format does not have: "error" ends the reading at the first, "skip" leaves them out and counts them
            (``Recording.report``).  By default "error" for recordings, however they are used, and "skip" for live
            sources.  A cut last word is left out and counted in any case.
        columns: of a table without names, "t", "x", "y", "p" or "_" for each column, as "x,y,p,t".
        time_unit: of a table, "s", "ms", "us" or "ns"; counts more than what its names or values say.
        camera: name or number of the camera that is read where a file holds several.
        sample: number of the sample that is read where a file holds several.

    Raises:
        FileError: the file is missing, no regular file, empty, compressed, or of an unknown format.
        InputError: the array lacks a field, ``sensor_size`` contradicts the file, the name of a source is wrong, the
            file can be read in several ways and no option chooses one, or an option does not apply to it.
    """
    given = None if sensor_size is None else as_size(sensor_size, "sensor_size")
    if isinstance(jitter, bool) or not isinstance(jitter, (int, np.integer)) or not 0 <= jitter <= 10**9:
        raise InputError("jitter", f"{jitter!r} is not a number of µs in 0..10^9", "Give for instance 1000")
    policy = "" if bad_events is None else one_of(bad_events, "bad_events", POLICIES)
    recording = _open(source, as_wanted(given, columns, time_unit, camera, sample), int(jitter))
    recording.bad_events = policy or recording.bad_events
    return recording


def _open(source: Any, wanted: Wanted, jitter: int) -> Recording:
    if isinstance(source, (Events, np.ndarray)):
        wanted.require_known("array of events", "an array with names and times in µs", frozenset())
        return _open_array(as_events(source), wanted.sensor_size, jitter)
    text = os.fspath(source)
    for begin, opener in _SCHEMES.items():
        if text.startswith(begin) and (begin != "-" or text == "-" or text.startswith("-?")):
            return opener(text, wanted, jitter)
    return _open_file(Path(source), wanted, jitter)


def _open_file(path: Path, wanted: Wanted, jitter: int) -> Recording:
    opened, given = open_source(path, wanted), wanted.sensor_size
    name = file_label(path)
    check_given_size(name, opened, given)

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        feed = Feed(path, opened.offset)
        return feed, opened.decode(feed)

    size, origin = known_size(opened, given)
    if size is None:
        size, origin = _infer_size(name, FileError, start_pass), "inferred"
    total = path.stat().st_size
    return Recording(name, opened.format, size, origin, total, start_pass, jitter=jitter, remarks=opened.notes)


def check_given_size(name: str, opened: Source, given: Size | None) -> None:
    """Refuses a size that contradicts the file.

    Raises:
        InputError: it does.
    """
    if given and opened.size_is_fixed and opened.sensor_size and given != opened.sensor_size:
        raise InputError(
            name,
            f"is of a sensor of {_by(opened.sensor_size)} pixels, {_by(given)} was given",
            "Give the size that the file states, or a model made for it",
        )


def known_size(opened: Source, given: Size | None) -> tuple[Size | None, str]:
    """The size of the sensor as far as it is known, and who says so."""
    if given:
        return given, "file" if given == opened.sensor_size and opened.size_is_fixed else "given"
    return opened.sensor_size, "file" if opened.size_is_fixed else "format"


def _open_array(events: Events, given: Size | None, jitter: int, name: str = "array of events") -> Recording:
    def start_pass() -> tuple[Feed, Iterator[Events]]:
        parts = (events[start : start + CHUNK_EVENTS] for start in range(0, len(events), CHUNK_EVENTS))
        return Feed(Path(), 0), parts

    size = given or _infer_size(name, InputError, start_pass)
    origin = "given" if given else "inferred"
    return Recording(name, "array", size, origin, 0, start_pass, InputError, jitter=jitter)


def _open_tonic(source: str, wanted: Wanted, jitter: int) -> Recording:
    wanted.require_known(f"source '{source}'", "a data set that tonic reads", frozenset())
    events, size = tonic_sets.load(source)
    given = wanted.sensor_size
    if isinstance(events, Path):
        return _open_file(events, Wanted(given or size), jitter)
    recording = _open_array(events, given or size, jitter, f"source '{source}'")
    recording.format = "tonic"
    if not given and size:
        recording.size_origin = "format"
    return recording


def _open_udp(source: str, wanted: Wanted, jitter: int) -> Recording:
    from nirbridge_events.live import open_udp

    wanted.require_known(f"source '{source}'", "a live source of known layout", frozenset())
    return open_udp(source, wanted.sensor_size, jitter)


def _open_stdin(source: str, wanted: Wanted, jitter: int) -> Recording:
    from nirbridge_events.live import open_stdin

    return open_stdin(source, wanted.sensor_size, jitter, wanted=wanted)


_SCHEMES: dict[str, Callable[[str, Wanted, int], Recording]] = {
    tonic_sets.SCHEME: _open_tonic,
    "udp://": _open_udp,
    "stdin:": _open_stdin,
    "-": _open_stdin,
}


def _infer_size(
    name: str, error: type[NirbridgeError], start_pass: Callable[[], tuple[Feed, Iterator[Events]]]
) -> Size:
    """The smallest known sensor that holds every event, else one just large enough.

    Places that no sensor has, negative or beyond LARGEST, say nothing about it; nor do a few beyond KNOWN_SENSORS.
    A file that breaks in the middle is judged by what comes before; reading it will meet the same error again.
    """
    feed, chunks = start_pass()
    feed.skip_bad = True
    largest = KNOWN_SENSORS[-1]
    usual, all_of_them = [0, 0], [0, 0]
    seen = total = beyond = 0
    try:
        for chunk in chunks:
            seen += len(chunk)
            chunk = chunk if (on_any := inside(chunk, LARGEST)) is None else chunk.select(on_any)
            _grow(all_of_them, chunk)
            total += len(chunk)
            if (near := inside(chunk, largest)) is not None:
                beyond += int((~near).sum())
                chunk = chunk.select(near)
            _grow(usual, chunk)
    except FileError:
        if not total:
            raise
    if not total:
        for _ in start_pass()[1] if feed.lost else ():
            # Where all of it was left out, the error of the first says why.
            pass
        found = "holds no event that lies on any sensor" if seen else "holds no event"
        raise error(name, found, "Record or copy it again")
    width, height = usual if beyond <= STRAY_SHARE * total else all_of_them
    fitting = (known for known in KNOWN_SENSORS if known[0] >= width and known[1] >= height)
    return next(fitting, (width, height))


def _grow(size: list[int], events: Events) -> None:
    if len(events):
        size[:] = max(size[0], int(events.x.max()) + 1), max(size[1], int(events.y.max()) + 1)


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
