"""Messages of ROS as numbers and arrays, read where they lie by the definition of their type.

A message is its fields one after the other, little-endian.  ROS 1 leaves nothing between them; ROS 2 (CDR) begins with
four bytes that say so, and puts each number at a multiple of its size, counted from behind those four.  A sequence is
its length (32 bits) and its elements.

The library rosbags reads the definitions, but not the messages: it would make an object of every event, and code of
every definition, while a definition in a bag is a text of strangers.

Source: the ROS wiki, "msg"; OMG, DDS-XTypes 1.3, section 7.4.1 (plain CDR).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Column = npt.NDArray[Any]
Types = Mapping[str, Sequence[tuple[str, str, Any]]]
"""Type → its fields: name, kind ("BASE", "NAME", "ARRAY", "SEQUENCE"), and what of: see ``plain_types``."""

LITTLE_ENDIAN_CDR = b"\x00\x01"
LARGEST_ALIGNMENT = 8
MOST_FIELDS = 256
"""How many fields a message may have, those of inner types among them; a type that holds itself has no end."""
_CODES = {
    "bool": "u1", "byte": "u1", "char": "u1", "octet": "u1", "uint8": "u1", "int8": "i1", "uint16": "<u2",
    "int16": "<i2", "uint32": "<u4", "int32": "<i4", "float32": "<f4", "uint64": "<u8", "int64": "<i8",
    "float64": "<f8",
}  # fmt: skip
_COUNT = struct.Struct("<I")


class MessageError(ValueError):
    """A message is not as its definition says, or the definition is of no kind that is read here."""


@dataclass
class Message:
    """A message that is being read.

    Attributes:
        raw: its bytes.
        at: the next of them.
        base: where alignment counts from.
        aligned: whether numbers lie at multiples of their size.
        fields: fields that were met.
    """

    raw: bytes
    at: int
    base: int
    aligned: bool
    fields: int = 0

    def take(self, size: int, alignment: int = 1) -> int:
        """The place of the next ``size`` bytes.

        Raises:
            MessageError: the message ends before.
        """
        if self.aligned:
            self.at += -(self.at - self.base) % alignment
        start, self.at = self.at, self.at + size
        if self.at > len(self.raw):
            raise MessageError(f"ends after {len(self.raw)} bytes, {self.at} are needed")
        return start

    def count(self) -> int:
        """The length that stands before a sequence."""
        return int(_COUNT.unpack_from(self.raw, self.take(4, 4))[0])

    def fields_of(self, types: Types, name: str) -> Sequence[tuple[str, str, Any]]:
        """The fields of a type.

        Raises:
            MessageError: its definition is missing, or the message has too many fields.
        """
        if name not in types:
            raise MessageError(f"needs the definition of '{name[:60]}', which is missing")
        fields = types[name]
        self.fields += 1 + len(fields)
        if self.fields > MOST_FIELDS:
            raise MessageError(f"has more than {MOST_FIELDS} fields by its definition")
        return fields


def plain_types(types: Mapping[str, Any]) -> Types:
    """Types as ``rosbags.typesys.get_types_from_msg`` has them, in a form that is looked up fast."""
    return {name: [(field, kind.name, what) for field, (kind, what) in fields] for name, (_, fields) in types.items()}


def read_message(types: Types, name: str, raw: bytes, cdr: bool) -> dict[str, Any]:
    """The fields of a message by their names, those of inner types as "header.stamp.sec".

    Numbers are numbers, texts bytes, sequences of numbers arrays, and sequences of a type a dict of columns.

    Raises:
        MessageError: it is cut, longer than it says, or holds something else.
    """
    if cdr and raw[:2] != LITTLE_ENDIAN_CDR:
        raise MessageError(f"is in an encoding {raw[:2].hex()}, of which only little-endian CDR is read")
    start = 4 if cdr else 0
    message = Message(raw, start, start, cdr)
    found: dict[str, Any] = {}
    _read_fields(types, name, message, "", found)
    if len(raw) - message.at >= (LARGEST_ALIGNMENT if cdr else 1):
        raise MessageError(f"has {len(raw)} bytes, of which its fields are {message.at}")
    return found


def _read_fields(types: Types, name: str, message: Message, prefix: str, found: dict[str, Any]) -> None:
    for field, kind, what in message.fields_of(types, name):
        place = prefix + field
        if kind == "NAME":
            _read_fields(types, what, message, f"{place}.", found)
        elif kind == "BASE" and what[0] == "string":
            size = message.count()
            found[place] = message.raw[(start := message.take(size)) : start + size].rstrip(b"\0")
        elif kind == "BASE":
            found[place] = _numbers(message, what[0], 1)[0].item()
        elif kind == "SEQUENCE" and what[0][0].name == "BASE":
            found[place] = _numbers(message, what[0][1][0], message.count())
        elif kind == "SEQUENCE" and what[0][0].name == "NAME":
            found[place] = _columns(types, what[0][1], message, message.count())
        else:
            raise MessageError(f"has a field '{place[:40]}' of a kind that is not read")


def _numbers(message: Message, code: str, count: int) -> Column:
    if code not in _CODES:
        raise MessageError(f"has a field of type '{code[:20]}', which is not read")
    dtype = np.dtype(_CODES[code])
    if not count:
        return np.empty(0, dtype)
    return np.frombuffer(message.raw, dtype, count, message.take(count * dtype.itemsize, dtype.itemsize))


def _columns(types: Types, name: str, message: Message, count: int) -> dict[str, Column]:
    """A sequence of elements that are numbers alone, as columns.

    In CDR the first element may lie otherwise than those that follow, which lie alike: each ends as far behind a
    multiple of its largest number as the one before.
    """
    numbers = _flat(types, name, "", message)
    places = [_places(numbers, message) for _ in range(min(count, 3))]
    stride = min(places[2].values()) - min(places[1].values()) if count > 2 else 0
    message.take(max(0, count - 3) * stride)
    columns = {}
    for key, code in numbers:
        parts: list[Column] = [np.empty(0, code)]
        parts += [np.frombuffer(message.raw, code, 1, place[key]) for place in places[:1]]
        parts += [np.ndarray((count - 1,), np.dtype(code), message.raw, place[key], (stride,)) for place in places[1:2]]
        columns[key] = np.concatenate(parts)
    return columns


def _places(numbers: list[tuple[str, str]], message: Message) -> dict[str, int]:
    """Where the numbers of the next element lie."""
    sizes = ((key, np.dtype(code).itemsize) for key, code in numbers)
    return {key: message.take(size, size) for key, size in sizes}


def _flat(types: Types, name: str, prefix: str, message: Message) -> list[tuple[str, str]]:
    """The numbers of a type in their order, with their codes."""
    numbers = []
    for field, kind, what in message.fields_of(types, name):
        if kind == "NAME":
            numbers += _flat(types, what, f"{prefix}{field}.", message)
        elif kind == "BASE" and what[0] in _CODES:
            numbers.append((prefix + field, _CODES[what[0]]))
        else:
            raise MessageError(f"holds elements with a field '{field[:40]}' that is no number")
    if not numbers:
        raise MessageError("holds elements without a field")
    return numbers
