"""Prophesee ``.dat``: an ASCII header, two bytes (kind and size of an event), then little-endian records of 8 bytes.

A record is the time in µs (32 bits, it wraps after 71 minutes) and a word: in version 2 bits 0–13 x, 14–27 y, 28
polarity; in version 1 bits 0–8 x, 9–16 y, 17 polarity.  Kinds 0 (2D) and 0xC (CD) are such events.

Source: Prophesee, DAT file format.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nirbridge.errors import FileError
from nirbridge_events.events import Events, known_size
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.prophesee import looks_like_header, parse_header, read_header
from nirbridge_events.readers.wanted import Wanted

RECORD = np.dtype([("t", "<u4"), ("place", "<u4")])
TIME_BITS = 32
KINDS = (0x00, 0x0C)
_IS_DAT = re.compile(rb"^% (Data file containing|Version \d)", re.MULTILINE)
PLACE_BITS = {1: (9, 8), 2: (14, 14)}
"""Of each version: the number of bits of x and of y, which the polarity follows."""


def decode(feed: Feed, x_bits: int, y_bits: int) -> Iterator[Events]:
    """One pass over the file, chunk by chunk."""
    x_mask, y_mask = (1 << x_bits) - 1, (1 << y_bits) - 1
    previous = -1
    for _, records in feed.words(RECORD):
        t = feed.unwrap(records["t"].astype(np.int64), TIME_BITS, previous)
        place = records["place"]
        x, y = place & x_mask, place >> x_bits & y_mask
        p = place >> (x_bits + y_bits) & 1
        previous = int(t[-1]) if len(t) else previous
        yield Events(x.astype(np.uint16), y.astype(np.uint16), t, p.astype(np.uint8))


def _recognises(path: Path, head: bytes) -> bool:
    if looks_like_header(head):
        return not parse_header(head).version and bool(_IS_DAT.search(head))
    return path.suffix.lower() == ".dat" and len(head) > 1 and head[0] in KINDS and head[1] == RECORD.itemsize


def _open(path: Path, head: bytes, _wanted: Wanted) -> Source:
    header = read_header(path, head)
    text, where = head[: header.length], file_label(path)
    version = _number(text, b"Version", 2)
    if version not in PLACE_BITS:
        raise FileError(where, f"is DAT version {version}; versions 1 and 2 are read", "Convert it to version 2")
    if len(head) < header.length + 2:
        raise FileError(where, f"ends inside its header, after {len(head)} bytes", "Copy or record it again")
    kind, size = head[header.length], head[header.length + 1]
    if kind not in KINDS or size != RECORD.itemsize:
        found = f"holds records of kind {kind:#x} with {size} bytes; events have kind 0xc or 0x0 with 8"
        raise FileError(where, found, "Give a file of CD events")
    sensor = known_size(_number(text, b"Width", 0), _number(text, b"Height", 0))
    shifted = header.shift(lambda feed: decode(feed, *PLACE_BITS[version]))
    return Source("dat", header.length + 2, sensor, shifted)


def _number(text: bytes, name: bytes, default: int) -> int:
    found = re.search(rb"^% " + name + rb" (\d+)\s*$", text.replace(b"\r", b""), re.MULTILINE)
    return int(found[1][:18]) if found else default


READER = Reader("dat", "a header with '% Version 2'", _recognises, _open, (".dat",))
