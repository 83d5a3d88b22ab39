"""Events from the standard input: ``-``, or ``stdin:?format=structured&size=640x480`` (``-?format=...`` in Python).

``structured`` are records of 13 little-endian bytes: time in µs (64 bits), x, y (16 bits each), polarity (one byte),
which is also faery's own layout.  Besides come CSV and every file format that is read from its beginning to its end;
without ``format`` the first bytes tell.  A pipe is a live source; a file that the shell opened (``< rec.csv``) is a
recording like any other.
"""

from __future__ import annotations

import os
import re
import select
import stat
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from nirbridge.errors import FileError, InputError
from nirbridge_events.events import Events, Size
from nirbridge_events.live import address as addresses
from nirbridge_events.live.feed import LiveFeed
from nirbridge_events.live.pump import pumped
from nirbridge_events.readers import READERS, choose
from nirbridge_events.readers.base import BLOCK_BYTES, HEAD_BYTES, STDIN, Feed, Source, unreadable
from nirbridge_events.readers.wanted import NOTHING, Wanted
from nirbridge_events.recording import Recording, check_given_size, known_size

RECORD = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
# These need the end of a file, or jump in it.
FILES_ONLY = ("hdf5", "npy", "npz")
STRUCTURED = "structured"
WAIT_SECONDS = 0.1
_HEADERS = (b"%", b"#!AER-DAT", b"Event Stream")
_LINE = re.compile(rb"^[^#\r\n][^\n]*\n", re.MULTILINE)
"""A line that is no comment."""


@dataclass
class StreamFeed(LiveFeed):
    """The bytes of a pipe: what was read to recognise its format, then what comes.

    Attributes:
        descriptor: the open file.
        head: bytes that were read before.
        closing: set to end the reading.
        ended: whether the pipe has ended.
        read_at: when the last block was read, on the clock ``time.perf_counter`` [s].
        waited: whether the pipe was empty before that block came.
    """

    descriptor: int = 0
    head: bytes = b""
    closing: threading.Event = field(default_factory=threading.Event)
    ended: bool = False
    read_at: float = 0.0
    waited: bool = True

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """Yields (offset in the stream, bytes) as they come.

        Raises:
            FileError: the pipe cannot be read.
        """
        self.position = self.offset
        block = self.head[self.offset :]
        while not self.ended or block:
            if block:
                start, self.position = self.position, self.position + len(block)
                yield start, block
            block = self.more()

    def more(self) -> bytes:
        """What comes next, as much as is there; nothing at the end.

        Raises:
            FileError: the pipe cannot be read.
        """
        try:
            ready = bool(select.select([self.descriptor], [], [], 0)[0])
            self.waited = not ready
            while not self.closing.is_set():
                if ready:
                    block = os.read(self.descriptor, BLOCK_BYTES)
                    self.ended, self.read_at = not block, time.perf_counter()
                    return block
                ready = bool(select.select([self.descriptor], [], [], WAIT_SECONDS)[0])
        except (OSError, ValueError) as error:
            raise unreadable(STDIN, OSError(0, str(error))) from error
        self.ended = True
        return b""

    def read_head(self, enough: int, lines: int) -> None:
        """Reads until ``head`` has so many bytes or so many lines of data, or the pipe ends."""
        while len(self.head) < enough and not (lines and len(_LINE.findall(self.head)) >= lines) and not self.ended:
            self.head += self.more()


def open_stdin(
    source: str, sensor_size: Size | None, jitter: int, descriptor: int | None = None, wanted: Wanted = NOTHING
) -> Recording:
    """A recording that comes through a pipe; it is read once.

    Raises:
        FileError: it is empty or of no format that is read from a pipe.
        InputError: the name is wrong, or nobody says the size of the sensor.
    """
    address = addresses.parse(source, known=("format", "size"))
    given = address.agreed_size(f"source '{source}'", sensor_size)
    feed = StreamFeed(STDIN, 0, descriptor=_descriptor(descriptor), patient=True)
    live = not stat.S_ISREG(os.fstat(feed.descriptor).st_mode)
    opened = _open_format(source, address.format, feed, replace(wanted, sensor_size=given))
    check_given_size("stdin", opened, given)
    size, origin = known_size(opened, given)
    if size is None:
        raise InputError("stdin", "does not say its sensor size", "Give it, for instance as 'stdin:?size=640x480'")
    feed.offset = opened.offset

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        chunks = opened.decode(feed)
        return feed, pumped(chunks, feed) if live else chunks

    return Recording(
        "stdin", opened.format, size, origin, 0, start_pass, FileError, feed, 0, jitter,
        live=live, remarks=opened.notes, once=True, on_close=feed.closing.set,
    )  # fmt: skip


def _descriptor(given: int | None) -> int:
    if given is not None:
        return given
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError) as error:
        raise InputError("stdin", "is not open", "Pipe a recording in") from error


def _open_format(source: str, name: str, feed: StreamFeed, wanted: Wanted) -> Source:
    if name == STRUCTURED:
        wanted.require_known("stdin", STRUCTURED, frozenset())
        return Source(STRUCTURED, 0, None, False, decode_structured)
    known = [format_name for format_name in READERS if format_name not in FILES_ONLY]
    if name and name not in known:
        found = f"format '{name}' is not read from a pipe"
        raise InputError(f"source '{source}'", found, f"Choose of {', '.join([STRUCTURED, *known])}")
    feed.read_head(16, 0)
    # Text may come line by line, and must not wait for more; headers are needed whole.
    feed.read_head(HEAD_BYTES, 0 if feed.head.startswith(_HEADERS) else 2)
    if not feed.head:
        raise FileError("stdin", "is empty (0 bytes)", "Pipe a recording in")
    if name:
        wanted.require_known("stdin", name, READERS[name].options)
        return READERS[name].open(STDIN, feed.head, wanted)
    for needs_file in FILES_ONLY:
        if READERS[needs_file].recognises(STDIN, feed.head):
            raise FileError("stdin", f"is {needs_file}, which is not read from a pipe", "Give the file's path")
    return choose(STDIN, feed.head, wanted)


def decode_structured(feed: Feed) -> Iterator[Events]:
    """Records as they come.

    Raises:
        FileError: the stream ends inside a record.
    """
    for _, records in feed.words(RECORD):
        columns = (records["x"].astype(np.uint16), records["y"].astype(np.uint16), records["t"].astype(np.int64))
        yield Events(*columns, (records["p"] > 0).astype(np.uint8))
