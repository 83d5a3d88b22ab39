"""Event Stream ``.es`` version 2, DVS events.

After a header of 20 bytes every event has 5: a byte with the time since the previous event in µs (7 bits) and the
polarity (lowest bit, 1 = ON), then x and y as little-endian 16 bits, y counted from the *bottom*.  Between events,
a byte 0xFF adds 127 µs and a byte 0xFE does nothing.

Source: neuromorphic-paris/event_stream, specification of version 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nirbridge.errors import FileError
from nirbridge_events.events import Events, as_places, known_size
from nirbridge_events.readers.base import Feed, Reader, Source, file_label
from nirbridge_events.readers.wanted import Wanted

MAGIC = b"Event Stream"
HEADER_BYTES = 20
EVENT_BYTES = 5
OVERFLOW, RESET = 0xFF, 0xFE
OVERFLOW_TIME = 127
_KINDS = {0: "generic", 1: "DVS", 2: "ATIS", 3: "asynchronous display", 4: "color"}


def decode(feed: Feed, height: int) -> Iterator[Events]:
    """One pass over the file, chunk by chunk; y comes out counted from the top."""
    time, rest = 0, b""
    for _, block in feed.blocks():
        rest += block
        events, used, time = decode_bytes(np.frombuffer(rest, dtype=np.uint8), time, height)
        yield events
        rest = rest[used:]
    feed.cut(len(rest))


def decode_bytes(data: npt.NDArray[np.uint8], time: int, height: int) -> tuple[Events, int, int]:
    """Events that lie whole in ``data``, the number of bytes used, and the time reached [µs]."""
    specials = _specials(data)
    starts, used = _event_starts(specials, len(data))
    words = data[starts[:, None] + np.arange(EVENT_BYTES)].astype(np.int64)
    overflows = specials[data[specials] == OVERFLOW]
    steps = np.searchsorted(overflows, starts) * OVERFLOW_TIME
    t = time + steps + np.cumsum(words[:, 0] >> 1)
    reached = time + len(overflows) * OVERFLOW_TIME + int((words[:, 0] >> 1).sum())
    y = (height - 1) - (words[:, 3] | words[:, 4] << 8)
    x, p = as_places(words[:, 1] | words[:, 2] << 8), (words[:, 0] & 1).astype(np.uint8)
    return Events(x, as_places(y), t, p), used, reached


def _specials(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.intp]:
    """Positions of the overflow and reset bytes that stand between events, not inside one.

    Events have 5 bytes, so from a position on only special bytes at the same remainder modulo 5 can be the next one
    between events; a special byte shifts the remainder by 1.  ``following`` holds that next one for every candidate,
    and the chain through it is walked once, so the walk costs one step for each special byte, none for an event.
    """
    candidates = np.flatnonzero(data >= RESET)
    first, following = _next_by_remainder(candidates)
    chain = []
    while first < len(candidates):
        chain.append(first)
        first = following[first]
    return candidates[chain]


def _next_by_remainder(candidates: npt.NDArray[np.intp]) -> tuple[int, list[int]]:
    """Index of the first candidate at remainder 0, and for each the index of the one that would follow it."""
    count = len(candidates)
    following = np.full(count, count)
    remainder = candidates % EVENT_BYTES
    for r in range(EVENT_BYTES):
        group = np.flatnonzero(remainder == r)
        sources = np.flatnonzero((remainder + 1) % EVENT_BYTES == r)
        at = np.searchsorted(group, sources, side="right")
        following[sources] = np.append(group, count)[at]
    zero = np.flatnonzero(remainder == 0)
    return (int(zero[0]) if len(zero) else count), following.tolist()


def _event_starts(specials: npt.NDArray[np.intp], length: int) -> tuple[npt.NDArray[np.intp], int]:
    """Start of every whole event between the special bytes, and the number of bytes used."""
    begins = np.concatenate(([0], specials + 1))
    ends = np.append(specials, length)
    counts = (ends - begins) // EVENT_BYTES
    first = np.repeat(begins - np.concatenate(([0], np.cumsum(counts)[:-1])) * EVENT_BYTES, counts)
    starts = first + np.arange(int(counts.sum())) * EVENT_BYTES
    return starts, int(begins[-1] + counts[-1] * EVENT_BYTES)


def _open(path: Path, head: bytes, _wanted: Wanted) -> Source:
    if len(head) < HEADER_BYTES:
        raise FileError(
            file_label(path), f"ends inside its header: {len(head)} of {HEADER_BYTES} bytes", "Copy or record it again"
        )
    version, kind = head[12], head[15]
    if version != 2 or kind != 1:
        what = f"Event Stream version {version} with {_KINDS.get(kind, f'type {kind}')} events"
        raise FileError(file_label(path), f"holds {what}; only version 2 with DVS events is read", "Convert it first")
    width, height = int.from_bytes(head[16:18], "little"), int.from_bytes(head[18:20], "little")
    if known_size(width, height) is None:
        raise FileError(file_label(path), f"its header gives a sensor of {width}x{height} pixels", "Repair its header")
    return Source("es", HEADER_BYTES, (width, height), lambda feed: decode(feed, height))


READER = Reader("es", "first bytes 'Event Stream'", lambda _path, head: head.startswith(MAGIC), _open, (".es",))
