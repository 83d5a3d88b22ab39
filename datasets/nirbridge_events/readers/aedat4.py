"""AEDAT 4.0, as iniVation's DV writes it, through faery.

The container is checked here, so that a damaged one is named instead of being handed on: a line of text, a header
with the place of the table of packets, then packets of stream number, size and compressed body.  faery decompresses
the packets and decodes them.  It needs the table of packets, which a recording that broke off does not have.

Source: iniVation, AEDAT 4.0; faery (LGPL-3) is an optional dependency.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nirbridge.errors import FileError, NirbridgeError
from nirbridge_events.events import Events, Size
from nirbridge_events.readers.aedat import version_of
from nirbridge_events.readers.base import Feed, Reader, Source, file_label

FIRST_LINE = b"#!AER-DAT4.0\r\n"
LONGEST_PACKET = 1 << 28
_DAMAGED = "The file is damaged; copy or record it again"


def decode(feed: Feed) -> Iterator[Events]:
    """One pass over the file, packet by packet.

    Raises:
        FileError: a packet is damaged.
    """
    aedat = _faery(feed.path)
    with _damage_named(feed.path), aedat.Decoder(feed.path) as decoder:
        wanted = _first_event_track(feed.path, decoder.tracks()).id
        for track, packet in decoder:
            if track.id == wanted:
                feed.position += packet.nbytes
                yield _events(packet)
            else:
                feed.skipped[f"{track.data_type} packets of other streams"] += 1
    feed.position = feed.path.stat().st_size


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turns what faery raises into the error of a damaged file; its panics derive from BaseException alone."""
    try:
        yield
    except NirbridgeError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = str(error).split("\n")[0]
        raise FileError(file_label(path), f"has a damaged header or packet ({reason})", _DAMAGED) from error


def _events(packet: Any) -> Events:
    polarity = packet.dtype.names[3]
    x, y, p = (np.ascontiguousarray(packet[name]) for name in ("x", "y", polarity))
    return Events(x, y, packet["t"].astype(np.int64), p.astype(np.uint8))


def _faery(path: Path) -> Any:
    try:
        from faery.extension import aedat
    except ImportError as error:
        found = "is AEDAT 4.0, which is read with faery, and faery is not installed"
        raise FileError(file_label(path), found, "Install it with: pip install faery") from error
    return aedat


def _first_event_track(path: Path, tracks: list[Any]) -> Any:
    track = next((track for track in tracks if track.data_type == "events"), None)
    if track is None:
        kinds = ", ".join(sorted({track.data_type for track in tracks})) or "nothing"
        raise FileError(file_label(path), f"has no stream of events, only {kinds}", "Record the events too")
    return track


def check_container(path: Path, head: bytes) -> None:
    """Walks from packet to packet without reading them.

    Raises:
        FileError: the header is damaged, the table of packets is missing, or a packet runs past its end.
    """
    where, total = file_label(path), path.stat().st_size
    length = struct.unpack_from("<I", head, len(FIRST_LINE))[0] if len(head) >= len(FIRST_LINE) + 4 else 0
    at = len(FIRST_LINE) + 4 + length
    header = head[len(FIRST_LINE) + 4 : at]
    if not length or at > total or len(header) < length or header[4:8] != b"IOHE":
        raise FileError(where, f"its header of {length} bytes is damaged or cut", _DAMAGED)
    if not header[header.find(b"<dv") :].isascii():
        raise FileError(where, "its description of streams is no plain text", _DAMAGED)
    table = _table_position(header)
    if not at <= table < total:
        found = f"its table of packets should be at offset {table}, and the file has {total} bytes"
        raise FileError(where, found, "The recording was cut short; open and save it with DV to repair it")
    with path.open("rb") as file:
        while at < table:
            file.seek(at)
            packet = file.read(8)
            size = struct.unpack("<ii", packet)[1] if len(packet) == 8 else -1
            if not 0 < size <= LONGEST_PACKET or at + 8 + size > table:
                raise FileError(where, f"the packet at offset {at} claims {size} bytes", _DAMAGED)
            at += 8 + size


def _table_position(header: bytes) -> int:
    """The field ``dataTablePosition`` of the flat buffer, -1 where it is not set."""
    try:
        root = struct.unpack_from("<I", header, 0)[0]
        fields = root - struct.unpack_from("<i", header, root)[0]
        offset = struct.unpack_from("<H", header, fields + 6)[0] if fields >= 0 else 0
        return int(struct.unpack_from("<q", header, root + offset)[0]) if offset else -1
    except struct.error:
        return -1


def _open(path: Path, head: bytes, _given: Size | None) -> Source:
    check_container(path, head)
    aedat = _faery(path)
    with _damage_named(path), aedat.Decoder(path) as decoder:
        size = _first_event_track(path, decoder.tracks()).dimensions
    return Source("aedat4", 0, size and (int(size[0]), int(size[1])), bool(size), decode)


READER = Reader(
    "aedat4",
    "first bytes '#!AER-DAT4.0'",
    lambda _path, head: version_of(head)[:2] == "4.",
    _open,
    (".aedat4", ".aedat"),
)
