"""The global heaps of an HDF5 file, which hold its texts: the library reads for ever in one that is damaged."""

from __future__ import annotations

import mmap
from pathlib import Path

from nirbridge.errors import FileError

_HEAD = b"GCOL\x01\x00\x00\x00"
_UNIT = 16
"""Bytes of a collection's head, and of each object's head: index (2), references (2), reserved (4), size (8)."""


def require_sound_heaps(path: Path, where: str) -> None:
    """Refuses a file with a global heap whose objects do not fill it from end to end.

    Raises:
        FileError: a heap is damaged.

    Source: HDF5 file format specification, section III.E; version 1 of the heap is the only one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAD)
        while start >= 0:
            if not _is_sound(data, start):
                raise FileError(where, f"is damaged (its texts at byte {start})", "Export or copy it again")
            start = data.find(_HEAD, start + len(_HEAD))


def _is_sound(data: mmap.mmap, start: int) -> bool:
    place, end = start + _UNIT, start + _number(data, start + 8)
    if end > len(data) or end < place:
        return False
    while end - place >= _UNIT:
        index, size = int.from_bytes(data[place : place + 2], "little"), _number(data, place + 8)
        if index == 0:  # free space, to the end of the heap, and its size counts the head
            return _UNIT <= size <= end - place
        place += _UNIT + (size + 7) // 8 * 8
        if place > end:
            return False
    return True


def _number(data: mmap.mmap, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")
