"""The text header that AEDAT files share: lines that begin with ``#``, the first ``#!AER-DATx.y``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nirbridge.errors import FileError
from nirbridge_events.events import Size
from nirbridge_events.readers.base import HEAD_BYTES, STDIN, file_label, read_head

MAGIC = b"#!AER-DAT"
# jAER writes all preferences of a camera into the header, several hundred kilobytes.
LONGEST_HEADER = 1 << 24
_VERSION = re.compile(rb"#!AER-DAT(\d+\.\d+)")
# Names that recording software gives to cameras, with their size; the first that fits the beginning counts.
CAMERAS: tuple[tuple[str, Size], ...] = (
    ("dvs128", (128, 128)), ("davis128", (128, 128)), ("davis208", (208, 192)), ("davis240", (240, 180)),
    ("davis346", (346, 260)), ("davis640", (640, 480)), ("dvxplorer_mini", (640, 480)), ("dvxplorer_lite", (320, 240)),
    ("dvxplorer", (640, 480)), ("tmpdiff128", (128, 128)),
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """The lines of a header, without ``#`` and line ends, and the number of bytes up to the data."""

    lines: tuple[str, ...]
    length: int


def version_of(head: bytes) -> str:
    """The version such as "2.0", or "" for a file of another kind."""
    found = _VERSION.match(head)
    return found[1].decode() if found else ""


def parse_header(path: Path, head: bytes, last: bytes = b"") -> Header:
    """Reads the lines up to ``last``, or up to the first bytes that are no line of text after a ``#``.

    Raises:
        FileError: the file ends inside its header, or the header is longer than LONGEST_HEADER.
    """
    lines: list[str] = []
    at = 0
    while head.startswith(b"#", at) and (end := head.find(b"\n", at)) >= 0:
        line = head[at:end].rstrip(b"\r")
        if not last and not line.isascii():
            return Header(tuple(lines), at)
        lines.append(line[1:].decode("latin-1").strip())
        at = end + 1
        if last and line.startswith(last):
            return Header(tuple(lines), at)
    is_open = head.startswith(b"#", at)
    if (is_open or at == len(head)) and len(head) == HEAD_BYTES and path != STDIN:
        longer = read_head(path, LONGEST_HEADER)
        if len(longer) > len(head):
            return parse_header(path, longer, last)
    if is_open and (last or head[at:].isascii()):
        found = f"ends inside its header, in the line at offset {at}"
        raise FileError(file_label(path), found, "Copy or record it again")
    if last:
        found = f"its header ends at offset {at} without the line '{last.decode()}'"
        raise FileError(file_label(path), found, "Copy or record it again")
    return Header(tuple(lines), at)


def camera_size(name: str) -> Size | None:
    """The size of a camera that a header names, as ``eu.seebetter.ini.chips.davis.DAVIS240C``."""
    short = name.strip().lower().rsplit(".", 1)[-1].replace(" ", "_")
    return next((size for camera, size in CAMERAS if short.startswith(camera)), None)
