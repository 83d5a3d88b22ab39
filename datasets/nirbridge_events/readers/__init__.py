"""One reader a file format, in a table by format name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nirbridge.errors import FileError
from nirbridge_events.readers import (
    aedat2,
    aedat3,
    aedat4,
    csv,
    dat,
    event_stream,
    evt2,
    evt3,
    evt21,
    hdf5,
    nmnist,
    numpy_array,
    rosbag,
)
from nirbridge_events.readers.base import HEAD_BYTES, Reader, Source, file_label, read_head
from nirbridge_events.readers.prophesee import looks_like_header, unread_version
from nirbridge_events.readers.wanted import NOTHING, Wanted

# Formats with a signature come first, then those that the extension alone tells.
READERS: dict[str, Reader] = {
    reader.format: reader
    for reader in (
        event_stream.READER,
        evt2.READER,
        evt21.READER,
        evt3.READER,
        dat.READER,
        aedat2.READER,
        aedat3.READER,
        aedat4.READER,
        hdf5.READER,
        *rosbag.READERS,
        *numpy_array.READERS,
        csv.READER,
        nmnist.READER,
    )
}

_FOREIGN_MAGIC = {
    b"\x1f\x8b\x08": ("gzip-compressed", "Decompress it first, with 'gunzip'"),
    b"BZh": ("bzip2-compressed", "Decompress it first, with 'bunzip2'"),
    b"\xfd7zXZ": ("xz-compressed", "Decompress it first, with 'unxz'"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", "Decompress it first, with 'unzstd'"),
    b"PK\x03\x04": ("a zip archive", "Unpack it first, with 'unzip'"),
}


def open_source(path: Path, wanted: Wanted = NOTHING) -> Source:
    """The decoder of a file, chosen by its first bytes and, for formats without a signature, by its extension.

    Raises:
        FileError: the file is missing, is no regular file and no folder of a ROS 2 bag, is empty, or is of no known
            format.
        InputError: its meaning depends on something that neither it nor ``wanted`` says, or ``wanted`` says something
            that formats of its kind do not leave open.
    """
    head = b"" if rosbag.is_folder(path) else read_head(path)
    if not head and not path.is_dir():
        raise FileError(file_label(path), "is empty (0 bytes)", "Record or copy it again")
    return choose(path, head, wanted)


def choose(path: Path, head: bytes, wanted: Wanted) -> Source:
    """The decoder for first bytes ``head``; a name that says another format than the content is noted.

    Raises:
        FileError: the bytes are of no known format, or their header is damaged.
        InputError: as of ``open_source``.
    """
    archive = READERS["npz"].recognises(path, head)
    for magic, (what, next_step) in _FOREIGN_MAGIC.items():
        if head.startswith(magic) and not archive:
            raise FileError(file_label(path), f"is {what}, not a recording", next_step)
    for reader in READERS.values():
        if reader.recognises(path, head):
            wanted.require_known(file_label(path), reader.format, reader.options)
            source = reader.open(path, head, wanted)
            claimed = claimed_formats(path)
            if claimed and reader.format not in claimed:
                note = f"is named like {' or '.join(claimed)}; its content is {reader.format} and is read as that"
                source = replace(source, notes=(note, *source.notes))
            return source
    raise _unknown(path, head)


def claimed_formats(path: Path) -> list[str]:
    """The formats whose files are usually named like this one."""
    return [reader.format for reader in READERS.values() if path.suffix.lower() in reader.extensions]


def _unknown(path: Path, head: bytes) -> FileError:
    where = file_label(path)
    if looks_like_header(head):
        return unread_version(path, head)
    known = ", ".join(f"{reader.format} ({reader.signature})" for reader in READERS.values())
    claimed = claimed_formats(path)
    named = f", although it is named like {' or '.join(claimed)}" if claimed else ""
    found = f"starts with {head[:8].hex(' ')}, which no reader knows{named}; known are {known}"
    return FileError(where, found, "Check that it is whole, or convert the recording to one of them")


__all__ = ["HEAD_BYTES", "READERS", "Reader", "Source", "choose", "open_source"]
