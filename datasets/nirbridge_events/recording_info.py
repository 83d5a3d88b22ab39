"""What a recording holds, found in one look through it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError, NirbridgeError, Problem
from nirbridge_events.events import Events, Size
from nirbridge_events.hot_pixels import find_hot_pixels
from nirbridge_events.rates import Rates
from nirbridge_events.read_report import ReadReport
from nirbridge_events.readers import open_source
from nirbridge_events.readers.csv import BAD_LINES
from nirbridge_events.readers.order import JITTER
from nirbridge_events.readers.table import NO_EVENTS
from nirbridge_events.readers.wanted import SeveralCamerasError
from nirbridge_events.recording import Recording, is_live_name, open_recording

MOST_PIXELS = 1 << 22
"""A sensor with more pixels than this, which none that is sold has, gets no map of them: it would take the memory."""
SIZE_FROM = {
    "given": "as given",
    "file": "stated by the file",
    "format": "the usual one of the format",
    "inferred": "the smallest known one that holds every event",
}
Counts = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class HotPixel:
    """A pixel that ``find_hot_pixels`` finds.

    Attributes:
        x: column.
        y: row.
        events: how many it sent.
    """

    x: int
    y: int
    events: int


@dataclass(frozen=True)
class RecordingInfo:
    """What a recording holds.

    Attributes:
        source: how messages name it.
        format: name of the format.
        bytes: size of the file or folder, 0 of anything else.
        sensor_size: (width, height) in pixels.
        sensor_from: who says so, a key of ``SIZE_FROM``.
        camera: which of several cameras it is, None of a recording of one.
        cameras: all of them, number → name.
        events: events that were read.
        first_us: time of the first one, on the recording's own clock [µs].
        last_us: time of the last one.
        mean_rate: events a second from the first to the last; None where no time passed.
        peak_rate: events a second in the fullest bin of 10 ms; None where no time passed.
        on_share: share of the events that are ON, 0..1.
        hot_pixels: the pixels that stand out, the loudest first; None of a sensor that is too large to look.
        active_pixels: pixels that sent any event; None likewise.
        reading: what the reader met: events sorted, left out as bad, and more.
        notes: what a user should know, one clause each.
        problem: the error that ended the reading early; None where it came to the end.
    """

    source: str
    format: str
    bytes: int
    sensor_size: Size
    sensor_from: str
    camera: str | None
    cameras: dict[str, str]
    events: int
    first_us: int
    last_us: int
    mean_rate: float | None
    peak_rate: float | None
    on_share: float
    hot_pixels: tuple[HotPixel, ...] | None
    active_pixels: int | None
    reading: ReadReport
    notes: tuple[str, ...]
    problem: Problem | None

    @property
    def duration(self) -> float:
        """Seconds from the first to the last event."""
        return (self.last_us - self.first_us) / 1e6

    @property
    def bad_events(self) -> int:
        """Events that were left out, because of their place or time, and rows or lines that are none."""
        no_events = sum(self.reading.lost.get(kind, 0) for kind in (NO_EVENTS, BAD_LINES))
        return self.reading.outside_events + self.reading.late_events + self.reading.ahead_events + no_events

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data."""
        data = asdict(self)
        data["sensor_size"], data["notes"] = list(self.sensor_size), list(self.notes)
        data["reading"]["notices"] = list(self.reading.notices)
        hot = None if self.hot_pixels is None else [asdict(pixel) for pixel in self.hot_pixels]
        derived = {"duration_s": self.duration, "off_share": 1 - self.on_share, "bad_events": self.bad_events}
        problem = None if self.problem is None else str(self.problem)
        return data | derived | {"hot_pixels": hot, "problem": problem}


class Survey:
    """Looks at the events of a recording; memory is that of a map of the sensor.

    Args:
        recording: what is looked at; its bad events should be skipped.

    Attributes:
        counts: events of each pixel [H, W]; None of a sensor that is too large.
        rates: how many came when.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        width, height = recording.sensor_size
        self.counts: Counts | None = None
        if width * height <= MOST_PIXELS:
            self.counts = np.zeros((height, width), dtype=np.uint32)
        self.rates = Rates()

    def read(self, tick: Callable[[], None] | None = None) -> Problem | None:
        """Reads it all; returns what ended it early, if something did.

        Raises:
            NirbridgeError: it ended before the first event.
        """
        try:
            for chunk in self._recording:
                self._take(chunk)
                if tick is not None:
                    tick()
        except NirbridgeError as error:
            if self.rates.first is None:
                raise
            return error.problems[0]
        return None

    def _take(self, chunk: Events) -> None:
        self.rates.add(chunk)
        if self.counts is not None:
            places = chunk.y.astype(np.intp) * self.counts.shape[1] + chunk.x
            np.add.at(self.counts.reshape(-1), places, np.uint32(1))

    def hot(self) -> tuple[HotPixel, ...] | None:
        """The hot pixels, the loudest first."""
        if self.counts is None:
            return None
        rows, columns = np.nonzero(find_hot_pixels(self.counts))
        found = [HotPixel(int(x), int(y), int(self.counts[y, x])) for y, x in zip(rows, columns, strict=True)]
        return tuple(sorted(found, key=lambda pixel: -pixel.events))

    def result(self, problem: Problem | None, camera: str | None, cameras: dict[str, str]) -> RecordingInfo:
        """What was found."""
        recording, rates = self._recording, self.rates
        off, on = rates.polarities
        return RecordingInfo(
            source=recording.name,
            format=recording.source.format,
            bytes=recording.source.total_bytes,
            sensor_size=recording.sensor_size,
            sensor_from=recording.source.size_origin,
            camera=camera,
            cameras=cameras,
            events=off + on,
            first_us=rates.first or 0,
            last_us=rates.last or 0,
            mean_rate=rates.mean,
            peak_rate=rates.peak,
            on_share=on / max(1, off + on),
            hot_pixels=self.hot(),
            active_pixels=None if self.counts is None else int(np.count_nonzero(self.counts)),
            reading=recording.report,
            notes=(*recording.source.remarks, *recording.report.lines()),
            problem=problem,
        )


def info(
    source: str | os.PathLike[str] | npt.NDArray[Any] | Events,
    sensor_size: Size | None = None,
    jitter: int = JITTER,
    *,
    columns: str | Sequence[str] | None = None,
    time_unit: str | None = None,
    camera: str | int | None = None,
    sample: int | None = None,
) -> RecordingInfo:
    """What a recording holds: its size, time, rates, polarities, sensor and hot pixels, and what is wrong with it.

    It is read once to its end, chunk by chunk; once more where its sensor size must be inferred.  Bad events are left
    out and counted.  The arguments are those of ``open_recording``.

    Raises:
        FileError: it cannot be read, or holds no event.
        InputError: it is a live source, which has no end, or an argument is wrong.
        SeveralCamerasError: it holds several cameras and none is chosen; ``cameras`` of the error lists them.
    """
    recording = open_recorded(
        source, sensor_size, jitter, columns=columns, time_unit=time_unit, camera=camera, sample=sample
    )
    survey = Survey(recording)
    problem = survey.read()
    return survey.result(problem, None if camera is None else str(camera), cameras_of(source))


def open_recorded(source: Any, sensor_size: Size | None, jitter: int | None, **how: Any) -> Recording:
    """A recording that is not live, of which bad events are skipped.

    Raises:
        NirbridgeError: as of ``info``.
    """
    if is_live_name(source):
        found = "is a live source, which has no end, and is gone when it was read"
        next_step = "Record it to a file, or use 'nirbridge stream', whose summary counts"
        raise InputError(f"source '{source}'", found, next_step)
    return open_recording(source, sensor_size, JITTER if jitter is None else jitter, "skip", **how)


def cameras_of(source: Any) -> dict[str, str]:
    """The cameras of a file that holds several, number → name; none of anything else."""
    try:
        if isinstance(source, (str, os.PathLike)) and Path(source).exists():
            open_source(Path(source))
    except SeveralCamerasError as error:
        return error.cameras
    except NirbridgeError:
        pass  # something else must be said about it, and whoever reads it says what
    return {}
