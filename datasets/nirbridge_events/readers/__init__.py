"""One reader a file format, in a table by format name."""

from __future__ import annotations

from pathlib import Path

from nirbridge.errors import FileError
from nirbridge_events.readers import event_stream, evt2, evt3, nmnist
from nirbridge_events.readers.base import HEAD_BYTES, Reader, Source, file_label, read_head
from nirbridge_events.readers.prophesee import looks_like_header, unread_version

READERS: dict[str, Reader] = {
    reader.format: reader for reader in (event_stream.READER, evt2.READER, evt3.READER, nmnist.READER)
}

_FOREIGN_MAGIC = {
    b"\x1f\x8b": ("gzip-compressed", "Decompress it first, with 'gunzip'"),
    b"BZh": ("bzip2-compressed", "Decompress it first, with 'bunzip2'"),
    b"\xfd7zXZ": ("xz-compressed", "Decompress it first, with 'unxz'"),
    b"PK\x03\x04": ("a zip archive", "Unpack it first, with 'unzip'"),
    b"\x89HDF": ("an HDF5 file", "Give a recording; a model goes to --model"),
    b"\x93NUMPY": ("a NumPy array", "Load it with numpy.load and pass the array"),
    b"#!AER-DAT": ("an AEDAT file", "Convert it to Event Stream, with 'faery input file IN.aedat4 output file OUT.es'"),
}


def open_source(path: Path) -> Source:
    """The decoder of a file, chosen by its first bytes and, for formats without a signature, by its extension.

    Raises:
        FileError: the file is missing, is no regular file, is empty, or is of no known format.
    """
    head = read_head(path)
    if not head:
        raise FileError(file_label(path), "is empty (0 bytes)", "Record or copy it again")
    for magic, (what, next_step) in _FOREIGN_MAGIC.items():
        if head.startswith(magic):
            raise FileError(file_label(path), f"is {what}, not a recording", next_step)
    for reader in READERS.values():
        if reader.recognises(path, head):
            return reader.open(path, head)
    if looks_like_header(head):
        raise unread_version(path, head)
    known = ", ".join(f"{reader.format} ({reader.signature})" for reader in READERS.values())
    raise FileError(
        file_label(path),
        f"starts with {head[:8].hex(' ')}, which no reader knows; known are {known}",
        "Convert the recording to one of them",
    )


__all__ = ["HEAD_BYTES", "READERS", "Reader", "Source", "open_source"]
