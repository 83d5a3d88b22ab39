"""Tables of a FlatBuffer, read where every position is checked: a damaged one is an error, never a wrong place.

A buffer begins with the position of its root table.  A table begins with the distance back to its list of fields: the
list's length, the table's, and the place of each field in the table, 0 for one that has its default.  Numbers are
little-endian.

Source: FlatBuffers, description of the binary format.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass


class DamagedBufferError(ValueError):
    """A position lies outside the bytes that are there."""


@dataclass(frozen=True)
class Table:
    """A table; ``places`` are the positions of its fields in ``data``, 0 where one is left out."""

    data: bytes
    places: tuple[int, ...]

    def number(self, field: int, kind: str, default: int) -> int:
        """A whole number; ``kind`` is its character in ``struct``.

        Raises:
            DamagedBufferError: it lies outside.
        """
        place = self._place(field)
        return _unpack(kind, self.data, place) if place else default

    def vector(self, field: int) -> tuple[int, int]:
        """The position of a vector's first element and the number of elements, (0, 0) for one that is left out.

        The elements themselves may lie outside.

        Raises:
            DamagedBufferError: its beginning lies outside.
        """
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + _unpack("I", self.data, place)
        return start + 4, _unpack("I", self.data, start)

    def text(self, field: int) -> bytes:
        """The bytes of a string.

        Raises:
            DamagedBufferError: it lies outside.
        """
        start, length = self.vector(field)
        if start + length > len(self.data):
            raise DamagedBufferError(f"a text of {length} bytes at {start} exceeds {len(self.data)} bytes")
        return self.data[start : start + length]

    def _place(self, field: int) -> int:
        return self.places[field] if field < len(self.places) else 0


def root_table(data: bytes, start: int = 0) -> Table:
    """The root of the buffer that begins at ``start``.

    Raises:
        DamagedBufferError: the table or its list of fields lies outside.
    """
    table = start + _unpack("I", data, start)
    fields = table - _unpack("i", data, table)
    length = _unpack("H", data, fields)
    if length < 4 or length % 2:
        raise DamagedBufferError(f"a list of fields has {length} bytes")
    offsets = [_unpack("H", data, fields + at) for at in range(4, length, 2)]
    return Table(data, tuple(table + offset if offset else 0 for offset in offsets))


def _unpack(kind: str, data: bytes, at: int) -> int:
    size = struct.calcsize(f"<{kind}")
    if not 0 <= at <= len(data) - size:
        raise DamagedBufferError(f"{size} bytes at {at} lie outside {len(data)} bytes")
    return int(struct.unpack_from(f"<{kind}", data, at)[0])
