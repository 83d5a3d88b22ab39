"""The ASCII header of Prophesee ``.raw`` files: lines that begin with ``% ``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size, known_size
from nirbridge_events.readers.base import HEAD_BYTES, Feed, Reader, Source, file_label
from nirbridge_events.readers.wanted import Wanted

Decode = Callable[[Feed], Iterator[Events]]

_VERSION = re.compile(r"^% evt (\d+\.\d+)\s*$", re.MULTILINE)
_FORMAT = re.compile(r"^% format EVT(\d+)", re.MULTILINE)
_GEOMETRY = re.compile(r"^% geometry (\d+)x(\d+)\s*$", re.MULTILINE)
_WIDTH = re.compile(r"^% format .*\bwidth=(\d+)", re.MULTILINE)
_HEIGHT = re.compile(r"^% format .*\bheight=(\d+)", re.MULTILINE)
_FIRST_TIME = re.compile(r"^% t0 (\d{1,18})\s*$", re.MULTILINE | re.IGNORECASE)
_FORMAT_VERSION = {"2": "2.0", "21": "2.1", "3": "3.0"}


@dataclass(frozen=True)
class Header:
    """What a header says.

    Attributes:
        version: "2.0", "2.1", "3.0", or "" where it does not say.
        sensor_size: (width, height), or None where it does not say.
        length: bytes up to the first event word.
        first_time: what is to be added to the times [µs]: faery stores them from 0 on and the first one here.
    """

    version: str
    sensor_size: Size | None
    length: int
    first_time: int = 0

    def shift(self, decode: Decode) -> Decode:
        """A decoder that adds the first time."""
        if not self.first_time:
            return decode
        return lambda feed: (Events(of.x, of.y, of.t + self.first_time, of.p) for of in decode(feed))


def looks_like_header(head: bytes) -> bool:
    """Whether a file starts with a line of such a header."""
    return head.startswith(b"% ")


def parse_header(head: bytes) -> Header:
    """Reads the lines up to ``% end`` or to the first that does not begin with ``% ``."""
    length = 0
    while head.startswith(b"% ", length):
        newline = head.find(b"\n", length)
        if newline < 0:
            break
        line, length = head[length:newline], newline + 1
        if line.strip() == b"% end":
            break
    text = head[:length].decode("ascii", errors="replace").replace("\r", "")
    first_time = _FIRST_TIME.search(text)
    return Header(_version(text), _sensor_size(text), length, int(first_time[1]) if first_time else 0)


def read_header(path: Path, head: bytes) -> Header:
    """``parse_header``, of a file that does not end inside it.

    Raises:
        FileError: it does.
    """
    header = parse_header(head)
    if head.startswith(b"% ", header.length) and b"% end" not in head[: header.length]:
        limit = "the file ends" if len(head) < HEAD_BYTES else f"{HEAD_BYTES} bytes hold no end of it"
        found = f"its header line at offset {header.length} is open: {limit}"
        raise FileError(file_label(path), found, "Copy or record it again")
    return header


def evt_reader(
    name: str, version: str, decoder: Callable[[Path, bytes, Header], tuple[Decode, tuple[str, ...]]]
) -> Reader:
    """The reader of a version; ``decoder`` gives, for a file, what decodes it and what is noted of it."""

    def recognises(_path: Path, head: bytes) -> bool:
        return looks_like_header(head) and parse_header(head).version == version

    def open_(path: Path, head: bytes, _wanted: Wanted) -> Source:
        header = read_header(path, head)
        decode, notes = decoder(path, head, header)
        return Source(name, header.length, header.sensor_size, header.shift(decode), notes)

    return Reader(name, f"a header with '% evt {version}'", recognises, open_, (".raw",))


def unread_version(path: Path, head: bytes) -> FileError:
    """The error for a file whose header names no version, or another one than those read."""
    version = parse_header(head).version
    found = f"is Prophesee EVT {version}" if version else "has a Prophesee header without the line '% evt VERSION'"
    return FileError(file_label(path), f"{found}; EVT 2.0, 2.1 and 3.0 are read", "Convert it, or record it as EVT 3.0")


def _version(text: str) -> str:
    if match := _VERSION.search(text):
        return match[1]
    match = _FORMAT.search(text)
    return _FORMAT_VERSION.get(match[1], match[1]) if match else ""


def _sensor_size(text: str) -> Size | None:
    if match := _GEOMETRY.search(text):
        size = int(match[1]), int(match[2])
    elif (width := _WIDTH.search(text)) and (height := _HEIGHT.search(text)):
        size = int(width[1]), int(height[1])
    else:
        return None
    return known_size(*size)
