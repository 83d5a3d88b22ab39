"""What every reader shares: blocks of bytes in, chunks of events out."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.wanted import Wanted

HEAD_BYTES = 65536
BLOCK_BYTES = 1 << 18
STDIN = Path("-")
LATE_SHARE = 16
SKIP_ADVICE = "Leave such ones out with --bad-events skip (bad_events='skip')"
CUT = "bytes at the end are a part of an event and were left out: the file is cut"
BROKE_OFF = "bytes of the last packet are missing: the recording broke off"


@dataclass
class Feed:
    """The bytes of one pass over a file, in blocks, with what the pass has to report.

    Attributes:
        path: the file.
        offset: where the events start, in bytes.
        position: bytes read so far, counted from the start of the file.
        skipped: how many words of each kind carried no event that could be placed.
        lost: events, or bytes of them, that were not read, each kind with its count: what a live source had to leave
            out, the packets of further streams, what a recording lacks that broke off.
        wraps: how often a counter of time started again.
        resyncs: how often a live source's clock leapt and was joined on.
        notices: what a user should know while the pass goes on, one clause each.
        skip_bad: whether words that the format does not have are counted in ``lost``, instead of ending the pass.
    """

    path: Path
    offset: int
    position: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    wraps: int = 0
    resyncs: int = 0
    notices: list[str] = field(default_factory=list)
    skip_bad: bool = False

    def notice(self, text: str) -> None:
        """Says something once."""
        if text not in self.notices:
            self.notices.append(text)

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yields (offset in the file, bytes); every block of a file but the last has BLOCK_BYTES.

        Raises:
            FileError: the file cannot be read.
        """
        self.position = self.offset
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                while block := file.read(BLOCK_BYTES):
                    start, self.position = self.position, self.position + len(block)
                    yield start, block
        except OSError as error:
            raise unreadable(self.path, error) from error

    def words(self, word: np.dtype[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yields (offset in the file, whole words or records), whatever the blocks; a cut last one is counted.

        Raises:
            FileError: the file cannot be read.
        """
        rest, start = b"", self.offset
        for at, block in self.blocks():
            start, data = at - len(rest), rest + block if rest else block
            count = len(data) // word.itemsize
            yield start, np.frombuffer(data, dtype=word, count=count)
            rest, start = data[count * word.itemsize :], start + count * word.itemsize
        self.cut(len(rest))

    def cut(self, left: int) -> None:
        """Counts bytes at the end that make no whole word; what came before them is good."""
        if left:
            self.lost[CUT] += left

    def unwrap(self, values: npt.NDArray[np.int64], bits: int, previous: int) -> npt.NDArray[np.int64]:
        """``unwrap``, which counts the wraps."""
        unwrapped = unwrap(values, bits, previous)
        if len(values):
            self.wraps += int(unwrapped[-1] >> bits) - (previous >> bits if previous >= 0 else 0)
        return unwrapped


@dataclass(frozen=True)
class Source:
    """An opened recording that has not been decoded yet.

    Attributes:
        format: the reader's name.
        offset: where the events start, in bytes.
        sensor_size: (width, height) if the file says so.
        decode: one pass over the file; its chunks are neither checked for order nor for geometry.
        notes: what a user should know about how the file is read, without the file's name.
        usual_size: (width, height) that files of the format mostly have, where they do not say.
    """

    format: str
    offset: int
    sensor_size: Size | None
    decode: Callable[[Feed], Iterator[Events]]
    notes: tuple[str, ...] = ()
    usual_size: Size | None = None

    def agreed_size(self, name: str, given: Size | None) -> tuple[Size | None, str]:
        """The size of the sensor as far as it is known, and who says so: "given", "file" or "format".

        Raises:
            InputError: ``given`` contradicts the file.
        """
        if self.sensor_size is None:
            return (self.usual_size, "format") if given is None else (given, "given")
        if given not in (None, self.sensor_size):
            found = f"is of a sensor of {_by(self.sensor_size)} pixels, {_by(given)} was given"
            raise InputError(name, found, "Give the size that the file states, or a model made for it")
        return self.sensor_size, "file"


@dataclass(frozen=True)
class Reader:
    """An entry of the table of formats.

    Attributes:
        format: name of the format.
        signature: how a person recognises it.
        recognises: whether a path and its first bytes are of this format.
        open: reads the header; it is told what the caller says.
        extensions: what such files are usually called.
        options: which of "columns", "time_unit", "camera" and "sample" mean something for it.
    """

    format: str
    signature: str
    recognises: Callable[[Path, bytes], bool]
    open: Callable[[Path, bytes, Wanted], Source]
    extensions: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()


def _by(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def file_label(path: Path) -> str:
    """How messages name a file."""
    return "stdin" if path == STDIN else f"file '{path}'"


def total_bytes(path: Path) -> int:
    """The size of a recording that is a file, or a folder of files."""
    files = path.iterdir() if path.is_dir() else (path,)
    return sum(file.stat().st_size for file in files if file.is_file())


def unreadable(path: Path, error: OSError) -> FileError:
    """The error for a file that the system refuses to read."""
    return FileError(file_label(path), f"cannot be read ({error.strerror or error})", "Check the path and its rights")


def read_head(path: Path, size: int = HEAD_BYTES) -> bytes:
    """The first bytes of a regular file, at most ``size``.

    Raises:
        FileError: it is missing, not a regular file or not readable.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "not a regular file"
            raise FileError(file_label(path), f"is {kind}", "Give the path of one recording")
        with path.open("rb") as file:
            return file.read(size)
    except FileNotFoundError as error:
        raise FileError(file_label(path), "does not exist", "Check the path") from error
    except OSError as error:
        raise unreadable(path, error) from error


class ForwardFill:
    """A value that holds from the word at its position on; ``carry`` holds before the first one."""

    def __init__(self, positions: npt.NDArray[np.intp], values: npt.NDArray[np.int64], carry: int) -> None:
        self._positions, self.values = positions, np.concatenate(([carry], values))

    def at(self, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
        """The value that holds at each of ``positions``, which grow."""
        before = np.searchsorted(positions, self._positions)
        return np.repeat(self.values, np.diff(before, prepend=0, append=len(positions)))

    @property
    def last(self) -> int:
        """The value that holds after all of them."""
        return int(self.values[-1])


def unwrap(values: npt.NDArray[np.int64], bits: int, previous: int) -> npt.NDArray[np.int64]:
    """Counts on where a counter of ``bits`` bits starts again.

    A fall by more than half the counter's range is a wrap; a smaller fall is left, for the check of order to find.
    After a wrap, a rise by nearly the whole range (all but a part of LATE_SHARE) is what came late, from before it.
    ``previous`` is the last unwrapped value, negative if there was none.
    """
    span = 1 << bits
    base, low = (previous // span, previous % span) if previous >= 0 else (0, int(values[0]) if len(values) else 0)
    steps = np.diff(values, prepend=low)
    turns = (steps < -(span // 2)).astype(np.int64)
    late = steps > span - span // LATE_SHARE
    if late.any():
        turns[late] = -1
        rounds = base
        for i in np.flatnonzero(turns):
            turns[i] = max(turns[i], -rounds)
            rounds += int(turns[i])
    return values + (base + np.cumsum(turns)) * span
