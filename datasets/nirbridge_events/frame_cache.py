"""Encoded recordings on disk: one file each, made once, by all cores, and never half."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge.files import whole_file
from nirbridge.workers import all_cores, crew
from nirbridge_events.encoding import encode
from nirbridge_events.equal_count import encode_equal_count
from nirbridge_events.events import Events, Size
from nirbridge_events.pixels import FloatFrame
from nirbridge_events.read_report import ReadReport
from nirbridge_events.recording import Recording, open_recording

VERSION = 1
"""Part of every key; raise it when a coding changes what it computes."""


@dataclass(frozen=True)
class FileSample:
    """A labelled recording in a file, or in the files of a folder; it travels to other processes by its path.

    Attributes:
        path: of it.
        label: the class.
        sensor_size: (width, height) of the set, whatever the format usually has; None where each file says it.
        reading: arguments of ``open_recording`` that all files of the set need.
    """

    path: Path
    label: int
    sensor_size: Size | None = None
    reading: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def identity(self) -> tuple[str | int, ...]:
        """What tells it from every other one, and its content from an older one: path, size and last change."""
        try:
            states = [file.stat() for file in (self.path, *(self.path.iterdir() if self.path.is_dir() else ()))]
        except OSError as error:
            raise FileError(f"file '{self.path}'", f"cannot be read ({error.strerror})", "Check the path") from error
        size, changed = sum(state.st_size for state in states), max(state.st_mtime_ns for state in states)
        return str(self.path.resolve()), size, changed

    def open(self, sensor_size: Size | None, **reading: Any) -> Recording:
        """The recording; ``reading`` are further arguments of ``open_recording``."""
        return open_recording(self.path, sensor_size or self.sensor_size, **{**self.reading, **reading})


@dataclass(frozen=True)
class Encoding:
    """How every recording of a set becomes frames [T, P, H, W], with the same T.

    Args:
        options: arguments of ``nirbridge_events.encode``; with ``equal_count``, of ``encode_equal_count``.
        steps: T; shorter recordings end in frames of 0, longer ones are refused unless ``cut``; None takes what comes.
        equal_count: frames of equal event count, the paper's protocol, instead of time windows.
        cut: leave out the frames beyond ``steps``.
        reading: arguments of ``open_recording``, as ``{"bad_events": "skip"}``.
    """

    options: dict[str, Any]
    steps: int | None = None
    equal_count: bool = False
    cut: bool = False
    reading: dict[str, Any] = field(default_factory=dict)

    def key(self, sample: FileSample) -> str:
        """Names the frames of a recording: equal exactly if they would be."""
        reading = {name: _told(value) for name, value in self.reading.items()}
        what = {**vars(self), "reading": reading, "version": VERSION, "sample": sample.identity}
        text = json.dumps(what, sort_keys=True, default=lambda value: value.tolist())  # a number of numpy's as Python's
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def frames(self, sample: FileSample) -> FloatFrame:
        """Encodes a recording; raises as :meth:`encoded`."""
        return self.encoded(sample)[0]

    def encoded(self, sample: FileSample) -> tuple[FloatFrame, ReadReport]:
        """Encodes a recording; also gives what became of its events.

        Raises:
            InputError: it gives more frames than ``steps``, or an option does not fit it.
            FileError: it is damaged.
        """
        recording = sample.open(self.options.get("sensor_size"), **self.reading)
        options = {**self.options, "sensor_size": recording.sensor_size}
        if self.equal_count:
            events = Events.concatenate(list(recording))
            recording.report.warn(recording.name)
            frames = encode_equal_count(events, **options)
        else:
            frames = encode(recording, **options)
        return self._padded(frames, recording.name), recording.report

    def _padded(self, frames: FloatFrame, name: str) -> FloatFrame:
        if self.steps is None or len(frames) == self.steps:
            return frames
        if len(frames) > self.steps and not self.cut:
            found = f"gives {len(frames)} frames, {self.steps} are wanted"
            raise InputError(name, found, "Allow more steps, use a longer window, or cut")
        fitted = np.zeros((self.steps, *frames.shape[1:]), dtype=np.float32)
        fitted[: len(frames)] = frames[: self.steps]
        return fitted


def _told(value: Any) -> Any:
    """An argument of ``open_recording`` for a key: filters with all that they hold."""
    return [pickle.dumps(one).hex() for one in value] if isinstance(value, (list, tuple)) else value


class FrameCache:
    """A folder of .npy files named by ``Encoding.key``; a file is there whole or not at all.

    Frames whose values all fit a byte are stored in bytes, a quarter of the size.
    """

    def __init__(self, folder: str | os.PathLike[str], encoding: Encoding) -> None:
        self.folder = Path(folder)
        self.encoding = encoding
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            found = f"cannot be made ({error.strerror})"
            raise FileError(f"folder '{self.folder}'", found, "Choose another place") from error

    def path(self, sample: FileSample) -> Path:
        """Where the frames of a recording are, or will be."""
        return self.folder / f"{self.encoding.key(sample)}.npy"

    def load(self, sample: FileSample) -> FloatFrame:
        """The frames of a recording, encoded now if they are not there; a damaged file is made again."""
        path = self.path(sample)
        try:
            return np.load(path, allow_pickle=False).astype(np.float32)
        except (OSError, ValueError, EOFError):
            return self.store(sample)

    def store(self, sample: FileSample) -> FloatFrame:
        """Encodes a recording and writes its frames."""
        frames = self.encoding.frames(sample)
        small = frames.astype(np.uint8)
        with whole_file(self.path(sample)) as file:
            np.save(file, small if np.array_equal(small, frames) else frames, allow_pickle=False)
        return frames

    def missing(self, samples: Sequence[FileSample]) -> list[FileSample]:
        """Recordings that are not encoded yet."""
        return [sample for sample in samples if not self.path(sample).exists()]

    def fill(
        self,
        samples: Sequence[FileSample],
        jobs: int | None = None,
        tick: Callable[[int], None] | None = None,
        cluster: str | None = None,
    ) -> int:
        """Encodes what is missing, on all cores; returns how many recordings that were.

        What was broken off goes on where it was, because finished files stay.

        Args:
            samples: recordings.
            jobs: processes; by default one a core, 1 works in this process.
            tick: called with 1 for each recording that is done.
            cluster: as of :func:`nirbridge.workers.crew`; recordings and cache are at the same paths there.

        Raises:
            NirbridgeError: a recording cannot be encoded; all the others are finished first.
        """
        missing = self.missing(samples)
        problems: list[NirbridgeError] = []
        for error in self._each(missing, jobs, cluster):
            problems += [] if error is None else [error]
            if tick is not None:
                tick(1)
        if problems:
            raise type(problems[0]).from_problems([problem for error in problems for problem in error.problems])
        return len(missing)

    def _each(
        self, samples: Sequence[FileSample], jobs: int | None, cluster: str | None
    ) -> Iterator[NirbridgeError | None]:
        if not samples:
            return
        with crew(min(all_cores() if jobs is None else jobs, len(samples)), cluster) as workers:
            yield from workers.map(_store, samples, shared=self)


def _store(cache: FrameCache, sample: FileSample) -> NirbridgeError | None:
    """One recording, in whatever process; its error is an answer, so that the others go on."""
    try:
        cache.store(sample)
    except NirbridgeError as error:
        return error
    return None
