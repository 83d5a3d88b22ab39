"""Events of messages of ROS: as elements of their own, or packed as a camera sends them.

``dvs_msgs`` and ``prophesee_event_msgs`` have an element for each event.  ``event_camera_msgs`` (before:
``event_array_msgs``) names the encoding of its bytes: "evt3" are the words of EVT 3.0, whose state goes on from message
to message; "mono" are 64 bits an event, y (15 bits) and polarity above x (16) above the time since ``time_base`` in ns
(32); "libcaer" are the polarity events of AEDAT 3.1, whose time in µs counts from ``time_base``.

Source: the packages dvs_msgs and event_camera_msgs; libcaer, polarity.h.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events
from nirbridge_events.readers import aedat3, evt3
from nirbridge_events.readers.base import Feed
from nirbridge_events.readers.ros_messages import MessageError

Fields = dict[str, Any]
Payloads = Iterator[Fields]

ROUNDED = "its times are rounded to whole µs"
MISSING = "messages are missing, by their numbers"
LATEST = 1 << 61
_HEADER = """
================================================================================
MSG: std_msgs/Header
{seq}time stamp
string frame_id
"""
_ARRAY = """std_msgs/Header header
uint32 height
uint32 width
{package}/Event[] events
================================================================================
MSG: {package}/Event
uint16 x
uint16 y
time ts
bool polarity
"""
_PACKET = """std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
DEFINITIONS = {
    "dvs_msgs/msg/EventArray": _ARRAY.format(package="dvs_msgs"),
    "prophesee_event_msgs/msg/EventArray": _ARRAY.format(package="prophesee_event_msgs"),
    "event_camera_msgs/msg/EventPacket": _PACKET,
    "event_array_msgs/msg/EventArray": _PACKET,
}
"""The types that hold events, and their definitions, which older bags leave away."""
TIME = "int32 sec\nuint32 nanosec\n"


def definition(name: str, ros: int) -> str:
    """The definition of a type of ``DEFINITIONS``, whole, as ROS 1 or 2 has it."""
    return DEFINITIONS[name] + _HEADER.format(seq="uint32 seq\n" if ros == 1 else "")


def decode(feed: Feed, messages: Payloads) -> Iterator[Events]:
    """The events of messages that follow each other.

    Raises:
        MessageError: a message holds no events that can be read.
        FileError: as the reader of its encoding.
    """
    first = next(messages, None)
    if first is None:
        return
    rest = _counted(feed, first, messages)
    if isinstance(first.get("events"), dict):
        for fields in rest:
            yield _elements(feed, fields)
        return
    encoding = _encoding(first)
    if encoding == "evt3":
        yield from _evt3(feed, rest)
        return
    for fields in rest:
        _require_same(fields, encoding)
        yield _ENCODINGS[encoding](feed, fields)


def _counted(feed: Feed, first: Fields, messages: Payloads) -> Payloads:
    """All messages; those that are missing between them are counted, where they have numbers."""
    number = first.get("seq", 0)
    yield first
    for fields in messages:
        previous, number = number, fields.get("seq", 0)
        if number > previous + 1:
            feed.lost[MISSING] += number - previous - 1
        yield fields


def _elements(feed: Feed, fields: Fields) -> Events:
    columns = fields["events"]
    if not isinstance(columns, dict) or not {"x", "y", "ts.sec", "ts.nanosec", "polarity"} <= columns.keys():
        raise MessageError("has events without the fields x, y, ts and polarity")
    fine = columns["ts.nanosec"].astype(np.int64)
    t = columns["ts.sec"].astype(np.int64) * 1_000_000 + _rounded(feed, fine)
    x, y = (columns[name].astype(np.uint16) for name in "xy")
    return Events(x, y, t, (columns["polarity"] != 0).astype(np.uint8))


def _rounded(feed: Feed, nanoseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Whole µs; what is lost is said."""
    if bool((nanoseconds % 1000 != 0).any()):
        feed.notice(ROUNDED)
    return (nanoseconds + 500) // 1000


def _encoding(fields: Fields) -> str:
    events, text = fields.get("events"), fields.get("encoding", b"")
    if not isinstance(events, np.ndarray) or events.dtype != np.uint8 or not isinstance(text, bytes):
        raise MessageError("has no events of a layout that is read")
    encoding = text.decode("ascii", "replace")[:40]
    if encoding not in ("evt3", *_ENCODINGS):
        raise MessageError(f"holds events in the encoding '{encoding}'; evt3, {', '.join(_ENCODINGS)} are read")
    _require_same(fields, encoding)
    return encoding


def _require_same(fields: Fields, encoding: str) -> None:
    if fields["encoding"].decode("ascii", "replace") != encoding:
        raise MessageError(f"changes its encoding from '{encoding}' to another one")
    if fields.get("is_bigendian"):
        raise MessageError("holds events of a big-endian machine, of which none are read")


@dataclass
class _Words(Feed):
    """The bytes of one message after the other, for a reader of files."""

    messages: Payloads = field(default_factory=lambda: iter(()))

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """See ``Feed.blocks``; offsets count the bytes of events alone."""
        for fields in self.messages:
            _require_same(fields, "evt3")
            block = fields["events"].tobytes()
            yield self.position, block
            self.position += len(block)


def _evt3(feed: Feed, messages: Payloads) -> Iterator[Events]:
    words = _Words(feed.path, 0, skipped=feed.skipped, lost=feed.lost, skip_bad=feed.skip_bad, messages=messages)
    for events in evt3.decode(words):
        feed.wraps = words.wraps
        yield events


def _mono(feed: Feed, fields: Fields) -> Events:
    words = _records(fields, np.dtype([("dt", "<u4"), ("x", "<u2"), ("y", "<u2")]))
    t = _rounded(feed, _base(fields) + words["dt"].astype(np.int64))
    y, p = words["y"] & 0x7FFF, (words["y"] >> 15).astype(np.uint8)
    return Events(words["x"].astype(np.uint16), y.astype(np.uint16), t, p)


def _libcaer(feed: Feed, fields: Fields) -> Events:
    words = _records(fields, aedat3.EVENT)
    events = aedat3.polarity_events(feed, words, 0)
    t = feed.unwrap(events.t, aedat3.OVERFLOW_BIT, -1) + _rounded(feed, np.array([_base(fields)]))
    return Events(events.x, events.y, t, events.p)


def _records(fields: Fields, record: np.dtype[Any]) -> Any:
    data = fields["events"]
    if len(data) % record.itemsize:
        raise MessageError(f"holds {len(data)} bytes of events, which is no multiple of {record.itemsize}")
    return np.frombuffer(data, record)


def _base(fields: Fields) -> int:
    base = int(fields.get("time_base", 0))
    if base >= LATEST:
        raise MessageError(f"begins at {base} ns, which is no time")
    return base


_ENCODINGS: dict[str, Callable[[Feed, Fields], Events]] = {"mono": _mono, "libcaer": _libcaer}
