"""AEDAT 3.1, as cAER writes it: packets of events of one kind, little-endian.

A packet has a header of 28 bytes: kind and source (16 bits each), then 32 bits each for the size of an event, the
offset of its time, the overflow of the time, the capacity, the number of events and of valid ones.  A polarity event
(kind 1) is a word with bit 0 valid, bit 1 polarity (1 = ON), bits 2–16 y, 17–31 x, and the time in µs, whose bits
from 31 on are the packet's overflow.  (0, 0) is at the top left.  Other packets are counted and passed over.  The
header names the sources; where several are cameras, one must be chosen.

Source: iniVation, AEDAT 3.1; libcaer, event packet headers.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nirbridge.errors import FileError, NirbridgeError
from nirbridge_events.events import Events
from nirbridge_events.readers.aedat import camera_size, parse_header, version_of
from nirbridge_events.readers.base import BROKE_OFF, Feed, Reader, Source, file_label
from nirbridge_events.readers.wanted import NUMBER, Wanted, choose_camera

EVENT = np.dtype([("data", "<u4"), ("t", "<u4")])
HEADER = struct.Struct("<hhiiiiii")
POLARITY = 1
KINDS = ("special", "polarity", "frame", "IMU6", "IMU9", "sample", "ear", "configuration")
OVERFLOW_BIT = 31
LAST_LINE = b"#!END-HEADER"
OTHER_CAMERAS = "packets of other cameras were left out"
_SOURCE = re.compile(r"Source (\d{1,5}): *(.{0,60})")


@dataclass
class _Open:
    """The packet that is being read: how many bytes of it hold events, and how many follow unused.

    ``camera`` is the source whose events are read, -1 as long as none was met; other sources are an error unless the
    caller has chosen.
    """

    camera: int = -1
    chosen: bool = False
    kind: int = -1
    overflow: int = 0
    events: int = 0
    rest: int = 0


def decode(feed: Feed, camera: int = -1, chosen: bool = False) -> Iterator[Events]:
    """One pass over the file, chunk by chunk; a packet is never held whole, whatever size it claims.

    Args:
        feed: the file.
        camera: the source that is read, -1 for the first that sends events.
        chosen: whether events of other sources are left out and counted, or are an error.

    Raises:
        FileError: a packet's header contradicts itself.
        InputError: events of another source were met, and the caller has not chosen.
    """
    data, start, packet = b"", feed.offset, _Open(camera, chosen)
    for at, block in feed.blocks():
        start, data = at - len(data), data + block
        used, parts = 0, []
        try:
            while (step := _step(feed, data, used, start, packet)) is not None:
                used, events = step
                parts.append(events)
        except NirbridgeError:
            yield Events.concatenate(parts)
            raise
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
    return used + count * EVENT.itemsize, polarity_events(feed, words, packet.overflow)


def _begin(feed: Feed, data: bytes, used: int, start: int, packet: _Open) -> None:
    kind, source, size, _, overflow, capacity, number, _ = HEADER.unpack_from(data, used)
    where, offset = file_label(feed.path), start + used
    if not (0 <= kind < 256 and size > 0 and 0 <= number <= capacity and overflow >= 0):
        found = f"the packet at offset {offset} claims kind {kind}, {number} of {capacity} events of {size} bytes"
        raise FileError(where, found, "The file is damaged; copy or record it again")
    if kind == POLARITY and size != EVENT.itemsize:
        found = f"the packet at offset {offset} has polarity events of {size} bytes, not {EVENT.itemsize}"
        raise FileError(where, found, "The file is damaged; copy or record it again")
    packet.kind, packet.overflow = kind, overflow
    wanted = kind == POLARITY and _is_wanted(feed, source, packet)
    packet.events = number * size if wanted else 0
    packet.rest = capacity * size - packet.events
    if kind != POLARITY:
        feed.skipped[f"{KINDS[kind] if kind < len(KINDS) else 'unknown'} packets"] += 1


def _is_wanted(feed: Feed, source: int, packet: _Open) -> bool:
    """Whether a packet of polarity events is of the camera that is read; others are counted."""
    if packet.camera < 0:
        packet.camera = source
    if source == packet.camera:
        return True
    if not packet.chosen:
        choose_camera(file_label(feed.path), {str(packet.camera): "", str(source): ""}, "")
    feed.lost[OTHER_CAMERAS] += 1
    return False


def polarity_events(feed: Feed, words: np.ndarray, overflow: int) -> Events:  # type: ignore[type-arg]
    """Events of words, whose 31 bits of time have wrapped ``overflow`` times; those marked invalid are counted."""
    valid = (words["data"] & 1).astype(np.bool_)
    if not valid.all():
        feed.skipped["events marked invalid"] += int((~valid).sum())
        words = words[valid]
    data = words["data"]
    t = words["t"].astype(np.int64) + (overflow << OVERFLOW_BIT)
    x, y, p = data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1
    return Events(x.astype(np.uint16), y.astype(np.uint16), t, p.astype(np.uint8))


_NONE = Events.concatenate([])


def _open(path: Path, head: bytes, wanted: Wanted) -> Source:
    version = version_of(head)
    if version != "3.1":
        found = f"is AEDAT {version}; AEDAT 2.0, 3.1 and 4.0 are read"
        raise FileError(file_label(path), found, "Convert it to AEDAT 4.0")
    header = parse_header(path, head, LAST_LINE)
    sources = {match[1]: match[2].strip() for line in header.lines if (match := _SOURCE.fullmatch(line))}
    cameras = {number: name for number, name in sources.items() if camera_size(name)} or sources
    if not cameras and (given := wanted.camera.removeprefix(NUMBER)).isdecimal():
        cameras = {given[:5]: ""}
    number = choose_camera(file_label(path), cameras, wanted.camera) if cameras or wanted.camera else "-1"
    size, chosen = camera_size(cameras.get(number, "")), bool(wanted.camera)
    camera = int(number) if chosen else -1
    return Source("aedat3", header.length, size, lambda feed: decode(feed, camera, chosen))


READER = Reader(
    "aedat3",
    "first bytes '#!AER-DAT3.1'",
    lambda _path, head: version_of(head)[:2] in ("1.", "3."),
    _open,
    (".aedat",),
    frozenset(("camera",)),
)
