"""The global heaps of an HDF5 file, which hold its texts: the library reads for ever in one that is damaged."""

from __future__ import annotations

import mmap

from nirbridge.errors import FileError

_HEAD = b"GCOL\x01\x00\x00\x00"
_UNIT = 16
"""Bytes of a collection's head, and of each object's head: index (2), references (2), reserved (4), size (8)."""


def longest_text(data: bytes | mmap.mmap, where: str) -> int:
    """Bytes of the largest object in the global heaps of a file's ``data``; no text in it is longer.

    A file with a heap whose objects do not fill it from end to end is refused.

    Raises:
        FileError: a heap is damaged.

    Source: HDF5 file format specification, section III.E; version 1 of the heap is the only one.
    """
    longest, start = 0, data.find(_HEAD)
    while start >= 0:
        found = _longest_object(data, start)
        if found is None:
            raise FileError(where, f"is damaged (its texts at byte {start})", "Export or copy it again")
        longest, start = max(longest, found), data.find(_HEAD, start + len(_HEAD))
    return longest


def _longest_object(data: bytes | mmap.mmap, start: int) -> int | None:
    """Bytes of the largest object of the heap at ``start``, None where it is damaged."""
    place, end = start + _UNIT, start + _number(data, start + 8)
    if end > len(data) or end < place:
        return None
    longest = 0
    while end - place >= _UNIT:
        index, size = int.from_bytes(data[place : place + 2], "little"), _number(data, place + 8)
        free = index == 0  # whose size counts its head
        place += size if free else _UNIT + (size + 7) // 8 * 8
        if place > end or (free and size < _UNIT):
            return None
        longest = longest if free else max(longest, size)
    return longest


def _number(data: bytes | mmap.mmap, place: int) -> int:
    return int.from_bytes(data[place : place + 8], "little")
