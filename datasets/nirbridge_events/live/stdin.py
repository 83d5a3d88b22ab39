"""Events from the standard input: ``-``, or ``stdin:?format=structured&size=640x480`` (``-?format=...`` in Python).

``structured`` are records of 13 little-endian bytes: time in µs (64 bits), x, y (16 bits each), polarity (one byte),
which is also faery's own layout.  Besides come CSV and every file format that is read from its beginning to its end;
without ``format`` the first bytes tell.  A pipe is a live source; a file that the shell opened (``< rec.csv``) is a
recording like any other.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError, InputError
from nirbridge_events.event_source import EventSource, LiveSource
from nirbridge_events.events import Events
from nirbridge_events.live import address as addresses
from nirbridge_events.live.datagrams import BAD_POLARITY
from nirbridge_events.live.pump import pumped
from nirbridge_events.live.stream_feed import StreamFeed
from nirbridge_events.readers import READERS, choose
from nirbridge_events.readers.base import HEAD_BYTES, SKIP_ADVICE, STDIN, Feed, Source
from nirbridge_events.readers.wanted import NOTHING, Wanted

RECORD = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
# These need the end of a file, or jump in it.
FILES_ONLY = ("hdf5", "rosbag1", "rosbag2", "npy", "npz")
STRUCTURED = "structured"
_HEADERS = (b"%", b"#!AER-DAT", b"Event Stream")


def open_stdin(source: str, wanted: Wanted = NOTHING, descriptor: int | None = None) -> EventSource:
    """A recording that comes through a pipe; it is read once.

    Raises:
        FileError: it is empty or of no format that is read from a pipe.
        InputError: the name is wrong, or nobody says the size of the sensor.
    """
    address = addresses.parse(source, known=("format", "size"))
    given = address.agreed_size(f"source '{source}'", wanted.sensor_size)
    feed = StreamFeed(STDIN, 0, descriptor=_descriptor(descriptor), patient=True)
    live = not stat.S_ISREG(os.fstat(feed.descriptor).st_mode)
    opened = _open_format(source, address.format, feed, replace(wanted, sensor_size=given))
    size, origin = opened.agreed_size("stdin", given)
    if size is None:
        raise InputError("stdin", "does not say its sensor size", "Give it, for instance as 'stdin:?size=640x480'")
    feed.offset = opened.offset

    def start_pass() -> tuple[Feed, Iterator[Events]]:
        chunks = opened.decode(feed)
        return feed, pumped(chunks, feed) if live else chunks

    kind = partial(LiveSource, close=feed.closing.set) if live else partial(EventSource, once=True)
    return kind(
        name="stdin",
        format=opened.format,
        sensor_size=size,
        size_origin=origin,
        start_pass=start_pass,
        remarks=opened.notes,
    )


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
        return Source(STRUCTURED, 0, None, decode_structured)
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
    """Records as they come; bytes of a cut last one are counted in ``feed.lost``.

    Raises:
        FileError: a polarity is neither 0 nor 1, unless such records are skipped and counted.
    """
    for start, records in feed.words(RECORD):
        if (bad := records["p"] > 1).any():
            if not feed.skip_bad:
                first = int(bad.argmax())
                yield _events(records[:first])
                at, value = start + first * RECORD.itemsize, records["p"][first]
                raise FileError("stdin", f"the record at offset {at} has polarity {value}, not 0 or 1", SKIP_ADVICE)
            feed.lost[BAD_POLARITY] += int(bad.sum())
            records = records[~bad]
        yield _events(records)


def _events(records: npt.NDArray[Any]) -> Events:
    x, y, t = records["x"].astype(np.uint16), records["y"].astype(np.uint16), records["t"].astype(np.int64)
    return Events(x, y, t, records["p"].copy())
