"""AEDAT 4.0, as iniVation's DV writes it: packets of FlatBuffers, each compressed by itself.

A line of text, the length of a header (32 bits) and the header: a FlatBuffer "IOHE" with the compression (0 none, 1
and 2 LZ4, 3 and 4 ZSTD), the place of a table of packets (-1: none) and an XML text that lists the streams.  Then
come packets: number of the stream, size of the body (32 bits each), and the body.  Unpacked, it is the length of a
FlatBuffer and the FlatBuffer; one of events, "EVTS", holds a vector of 16 bytes an event: time in µs (64 bits), x, y
(16 bits each), polarity (one byte).  Everything is little-endian, and (0, 0) is at the top left.

The table is not needed: packets are read one after the other.  A recording that broke off has none, and is read as
far as it goes.

Source: iniVation, AEDAT 4.0, with the FlatBuffers schemas IOHeader and EventPacket.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nirbridge.errors import FileError
from nirbridge_events.events import Events
from nirbridge_events.readers.aedat import version_of
from nirbridge_events.readers.aedat4_streams import EVENTS, Stream, cameras, parse_streams
from nirbridge_events.readers.base import BROKE_OFF, STDIN, Feed, Reader, Source, file_label, read_head
from nirbridge_events.readers.flatbuffer import DamagedBufferError, root_table
from nirbridge_events.readers.unpacking import ByteStream, Readable, Section, Unpacker, UnpackingError, unpacker
from nirbridge_events.readers.wanted import Wanted, choose_camera

FIRST_LINE = b"#!AER-DAT4.0\r\n"
BODY_AT = len(FIRST_LINE) + 4
LONGEST_HEADER = 1 << 24
# Unpacked; more than a second of the fastest camera.
LARGEST_PACKET = 1 << 28
# What a FlatBuffer has before and after its vector of events.
MARGIN = 1 << 12
PIECE_EVENTS = 1 << 16
PACKET = struct.Struct("<ii")
EVENT = np.dtype(
    {"names": ["t", "x", "y", "p"], "formats": ["<i8", "<u2", "<u2", "u1"], "offsets": [0, 8, 10, 12], "itemsize": 16}
)
COMPRESSIONS = ("", "LZ4", "LZ4", "ZSTD", "ZSTD")
OTHER_EVENTS = "packets of other cameras were left out"
_DAMAGED = "The file is damaged; copy or record it again"


@dataclass(frozen=True)
class Header:
    """What a file says before its packets.

    Attributes:
        compression: "LZ4", "ZSTD" or "".
        table: where the packets end and their table begins, -1 where there is none.
        streams: what the packets' numbers stand for.
        chosen: the number of the stream of events that is read.
    """

    compression: str
    table: int
    streams: dict[int, Stream]
    chosen: int


def decode(feed: Feed, header: Header, unpack: Unpacker) -> Iterator[Events]:
    """One pass over the file, piece by piece; a packet is never held whole.

    Raises:
        FileError: a packet is damaged; the events before were yielded.
    """
    stream = ByteStream(feed)
    while header.table < 0 or stream.at < header.table:
        start = stream.at
        found = stream.read(PACKET.size)
        if len(found) < PACKET.size:
            if found or header.table >= 0:
                feed.lost[BROKE_OFF] += PACKET.size - len(found)
            return
        number, size = PACKET.unpack(found)
        if size < 0 or number not in header.streams or 0 <= header.table < stream.at + size:
            raise _damaged(feed.path, start, f"claims to be {size} bytes of stream {number}")
        body = Section(stream, size)
        if number == header.chosen:
            yield from _events(feed, header, start, body, unpack)
        elif header.streams[number].kind == EVENTS:
            feed.lost[OTHER_EVENTS] += 1
        else:
            feed.skipped[f"{header.streams[number].kind} packets"] += 1
        body.skip()
        if body.cut:
            feed.lost[BROKE_OFF] += body.left
            return


def _events(feed: Feed, header: Header, start: int, body: Section, unpack: Unpacker) -> Iterator[Events]:
    """The events of one packet; where the file ends inside it, those that are there."""
    try:
        unpacked = unpack(body)
        data = _read(unpacked, MARGIN)
        at, count, length = _vector(data)
        rest = data[at : at + count * EVENT.itemsize]
        left = count * EVENT.itemsize - len(rest)
        while len(rest) >= EVENT.itemsize:
            whole = len(rest) // EVENT.itemsize
            yield _columns(np.frombuffer(rest, dtype=EVENT, count=whole))
            rest = rest[whole * EVENT.itemsize :]
            more = _read(unpacked, min(left, PIECE_EVENTS * EVENT.itemsize - len(rest)))
            rest, left = rest + more, left - len(more)
        if left:
            raise DamagedBufferError(f"{left} of {count * EVENT.itemsize} bytes of events are missing")
        _require_end(unpacked, length - max(len(data), at + count * EVENT.itemsize))
    except (DamagedBufferError, UnpackingError) as error:
        # Of a packet that the end of the file cuts, anything may be missing.
        if not body.cut:
            raise _damaged(feed.path, start, f"is damaged ({error})") from error


def _vector(data: bytes) -> tuple[int, int, int]:
    """Where the events begin in a packet, their number, and the packet's length, from its first bytes."""
    if data[8:12] != EVENTS.encode():
        raise DamagedBufferError(f"it holds {data[8:12]!r} instead of {EVENTS}")
    length = int.from_bytes(data[:4], "little") + 4
    at, count = root_table(data, 4).vector(0)
    end = at + count * EVENT.itemsize
    if length > LARGEST_PACKET:
        raise DamagedBufferError(f"it claims {length} bytes unpacked, at most {LARGEST_PACKET} are read")
    if not end <= length <= end + MARGIN:
        raise DamagedBufferError(f"its {count} events end at {end} of {length} bytes")
    return at, count, length


def _require_end(unpacked: Readable, left: int) -> None:
    """Reads on to the end, so that checksums are checked."""
    if left < 0 or len(_read(unpacked, left + 1)) != left:
        raise DamagedBufferError("it does not end where it says")


def _read(unpacked: Readable, size: int) -> bytes:
    """The next ``size`` bytes, fewer only where they end."""
    parts, left = [], size
    while left and (part := unpacked.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _columns(events: np.ndarray) -> Events:  # type: ignore[type-arg]
    x, y, t = (np.ascontiguousarray(events[name]) for name in ("x", "y", "t"))
    return Events(x, y, t, (events["p"] != 0).astype(np.uint8))


def _damaged(path: Path, start: int, what: str) -> FileError:
    return FileError(file_label(path), f"the packet at offset {start} {what}", _DAMAGED)


def parse_header(path: Path, head: bytes, camera: str = "") -> tuple[Header, int]:
    """The header, and the offset of the first packet.

    Raises:
        FileError: it is damaged, cut, too long, or lists no stream of events.
        InputError: it lists several, of which ``camera`` chooses none.
    """
    where = file_label(path)
    length = int.from_bytes(head[len(FIRST_LINE) : BODY_AT], "little")
    if BODY_AT + length > len(head) and length <= LONGEST_HEADER and path != STDIN:
        head = read_head(path, BODY_AT + length)
    if not head.startswith(FIRST_LINE) or not 0 < length <= len(head) - BODY_AT:
        raise FileError(where, f"its header of {length} bytes is damaged or cut", _DAMAGED)
    body = head[BODY_AT : BODY_AT + length]
    try:
        if body[4:8] != b"IOHE":
            raise DamagedBufferError(f"it holds {body[4:8]!r} instead of IOHE")
        root = root_table(body)
        compression, table, text = root.number(0, "i", 0), root.number(1, "q", -1), root.text(2)
    except DamagedBufferError as error:
        raise FileError(where, f"its header is damaged ({error})", _DAMAGED) from error
    if not 0 <= compression < len(COMPRESSIONS):
        found = f"is compressed by method {compression}; 0 to {len(COMPRESSIONS) - 1} are read"
        raise FileError(where, found, "Convert it to LZ4 with DV")
    if 0 <= table < BODY_AT + length:
        found = f"its table of packets should be at offset {table}, before its first packet"
        raise FileError(where, found, _DAMAGED)
    streams = parse_streams(where, text)
    found_cameras = cameras(streams)
    if not found_cameras:
        kinds = ", ".join(sorted({stream.kind for stream in streams.values()})) or "nothing"
        raise FileError(where, f"has no stream of events, only {kinds}", "Record the events too")
    chosen = int(choose_camera(where, found_cameras, camera))
    return Header(COMPRESSIONS[compression], table, streams, chosen), BODY_AT + length


def _open(path: Path, head: bytes, wanted: Wanted) -> Source:
    header, start = parse_header(path, head, wanted.camera)
    unpack = unpacker(path, header.compression)
    size = header.streams[header.chosen].sensor_size
    notes = ["has no table of packets, as if it broke off; it is read to its end"] if header.table < 0 else []
    return Source("aedat4", start, size, lambda feed: decode(feed, header, unpack), tuple(notes))


READER = Reader(
    "aedat4",
    "first bytes '#!AER-DAT4.0'",
    lambda _path, head: version_of(head)[:2] == "4.",
    _open,
    (".aedat4", ".aedat"),
    frozenset(("camera",)),
)
