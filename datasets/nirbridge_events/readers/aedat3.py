"""AEDAT 3.1, as cAER writes it: packets of events of one kind, little-endian.

A packet has a header of 28 bytes: kind and source (16 bits each), then 32 bits each for the size of an event, the
offset of its time, the overflow of the time, the capacity, the number of events and of valid ones.  A polarity event
(kind 1) is a word with bit 0 valid, bit 1 polarity (1 = ON), bits 2–16 y, 17–31 x, and the time in µs, whose bits
from 31 on are the packet's overflow.  (0, 0) is at the top left.  Other packets are counted and passed over.

Source: iniVation, AEDAT 3.1; libcaer, event packet headers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nirbridge.errors import FileError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.aedat import camera_size, parse_header, version_of
from nirbridge_events.readers.base import BROKE_OFF, Feed, Reader, Source, file_label

EVENT = np.dtype([("data", "<u4"), ("t", "<u4")])
HEADER = struct.Struct("<hhiiiiii")
POLARITY = 1
KINDS = ("special", "polarity", "frame", "IMU6", "IMU9", "sample", "ear", "configuration")
OVERFLOW_BIT = 31
LAST_LINE = b"#!END-HEADER"


@dataclass
class _Open:
    """The packet that is being read: how many bytes of it hold events, and how many follow unused."""

    kind: int = -1
    overflow: int = 0
    events: int = 0
    rest: int = 0


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, chunk by chunk; a packet is never held whole, whatever size it claims.

    Raises:
        FileError: a packet's header contradicts itself.
    """
    data, start, packet = b"", feed.offset, _Open()
    for at, block in feed.blocks():
        start, data = at - len(data), data + block
        used, parts = 0, []
        while (step := _step(feed, data, used, start, packet)) is not None:
            used, events = step
            if len(events):
                parts.append(events)
        data, start = data[used:], start + used
        yield Events.concatenate(parts)
    if data or packet.events or packet.rest:
        needed = HEADER.size if packet.kind < 0 else packet.events + packet.rest
        feed.lost[BROKE_OFF] += needed - len(data)


def _step(feed: Feed, data: bytes, used: int, start: int, packet: _Open) -> tuple[int, Events] | None:
    """Reads one header, or the events that are there; None when more bytes are needed."""
    left = len(data) - used
    if packet.events == packet.rest == 0:
        if left < HEADER.size:
            packet.kind = -1
            return None
        _begin(feed, data, used, start, packet)
        return used + HEADER.size, _NONE
    if packet.events == 0:
        taken = min(left, packet.rest)
        packet.rest -= taken
        return (used + taken, _NONE) if taken else None
    count = min(left, packet.events) // EVENT.itemsize
    if not count:
        return None
    packet.events -= count * EVENT.itemsize
    words = np.frombuffer(data, dtype=EVENT, count=count, offset=used)
    return used + count * EVENT.itemsize, _polarity_events(feed, words, packet.overflow)


def _begin(feed: Feed, data: bytes, used: int, start: int, packet: _Open) -> None:
    kind, _, size, _, overflow, capacity, number, _ = HEADER.unpack_from(data, used)
    where, offset = file_label(feed.path), start + used
    if not (0 <= kind < 256 and size > 0 and 0 <= number <= capacity and overflow >= 0):
        found = f"the packet at offset {offset} claims kind {kind}, {number} of {capacity} events of {size} bytes"
        raise FileError(where, found, "The file is damaged; copy or record it again")
    if kind == POLARITY and size != EVENT.itemsize:
        found = f"the packet at offset {offset} has polarity events of {size} bytes, not {EVENT.itemsize}"
        raise FileError(where, found, "The file is damaged; copy or record it again")
    packet.kind, packet.overflow = kind, overflow
    packet.events = number * size if kind == POLARITY else 0
    packet.rest = capacity * size - packet.events
    if kind != POLARITY:
        feed.skipped[f"{KINDS[kind] if kind < len(KINDS) else 'unknown'} packets"] += 1


def _polarity_events(feed: Feed, words: np.ndarray, overflow: int) -> Events:  # type: ignore[type-arg]
    valid = (words["data"] & 1).astype(np.bool_)
    if not valid.all():
        feed.skipped["events marked invalid"] += int((~valid).sum())
        words = words[valid]
    data = words["data"]
    t = words["t"].astype(np.int64) + (overflow << OVERFLOW_BIT)
    x, y, p = data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1
    return Events(x.astype(np.uint16), y.astype(np.uint16), t, p.astype(np.uint8))


_NONE = Events.concatenate([])


def _open(path: Path, head: bytes, _given: Size | None) -> Source:
    version = version_of(head)
    if version != "3.1":
        found = f"is AEDAT {version}; AEDAT 2.0, 3.1 and 4.0 are read"
        raise FileError(file_label(path), found, "Convert it to AEDAT 4.0")
    header = parse_header(path, head, LAST_LINE)
    sources = [line.split(":", 1)[1] for line in header.lines if line.startswith("Source ") and ":" in line]
    size = next((size for size in map(camera_size, sources) if size), None)
    return Source("aedat3", header.length, size, size is not None, decode)


READER = Reader(
    "aedat3", "first bytes '#!AER-DAT3.1'", lambda _path, head: version_of(head)[:2] in ("1.", "3."), _open, (".aedat",)
)
