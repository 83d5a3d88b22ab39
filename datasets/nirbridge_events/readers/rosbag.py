"""Recordings of ROS: bags of ROS 1 (.bag) and of ROS 2 (a folder with metadata.yaml, .db3 or .mcap).

A bag holds messages of many topics; those of types with events (``ros_packets.DEFINITIONS``) are the cameras.  The
times of events are those that the events carry, not those at which messages were recorded.

The library rosbags reads the containers, message by message.  What it meets in damaged files ends in exceptions of
every kind; all of them become one error here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from nirbridge.errors import FileError, NirbridgeError, reason_of
from nirbridge_events.events import Events, Size, known_size
from nirbridge_events.readers import ros_packets
from nirbridge_events.readers.base import SKIP_ADVICE, Feed, Reader, Source, file_label, total_bytes
from nirbridge_events.readers.ros_messages import MessageError, Types, plain_types, read_message
from nirbridge_events.readers.wanted import Wanted, choose_camera

METADATA = "metadata.yaml"
MAGICS = {".bag": b"#ROSBAG V", ".db3": b"SQLite format 3\0", ".mcap": b"\x89MCAP0\r\n"}
CHUNK_EVENTS = 1 << 12
MOST_PARTS = 64
BAD_MESSAGES = "messages are damaged and were left out"
_DAMAGED = "Check it with 'rosbag info' or 'ros2 bag info', or record it again"
_REINDEX = "Run 'rosbag reindex' (ROS 1) or 'ros2 bag reindex' (ROS 2) on it"


@dataclass(frozen=True)
class Topic:
    """The camera that is read.

    Attributes:
        name: of the topic.
        type: of its messages.
        messages: how many there are.
        types: the definition of the type.
        ros: 1 or 2.
    """

    name: str
    type: str
    messages: int
    types: Types
    ros: int


def decode(feed: Feed, topic: Topic) -> Iterator[Events]:
    """One pass over the bag, message by message.

    Raises:
        FileError: the bag or a message is damaged; the events before were yielded.
    """
    with _opened(feed.path, topic.ros) as bag, _errors_of(feed.path):
        yield from _joined(ros_packets.decode(feed, _messages(feed, bag, topic)))
    feed.position = total_bytes(feed.path)


def _joined(chunks: Iterator[Events]) -> Iterator[Events]:
    """The same events in larger chunks: messages may be as small as an event, and every chunk costs its checks."""
    parts: list[Events] = []
    try:
        for chunk in chunks:
            parts.append(chunk)
            if sum(map(len, parts)) >= CHUNK_EVENTS or len(parts) >= MOST_PARTS:
                yield Events.concatenate(parts)
                parts = []
    except Exception:
        yield Events.concatenate(parts)
        raise
    yield Events.concatenate(parts)


def _messages(feed: Feed, bag: Any, topic: Topic) -> Iterator[dict[str, Any]]:
    """The fields of each message of the topic."""
    size = total_bytes(feed.path)
    for number, (_, time, raw) in enumerate(bag.messages(_connections(bag)[topic.name])):
        try:
            yield read_message(topic.types, topic.type, raw, topic.ros == 2)
        except MessageError as error:
            if not feed.skip_bad:
                found = f"message {number} of topic '{topic.name[:60]}', recorded at {time} ns, {error}"
                raise FileError(file_label(feed.path), found, SKIP_ADVICE) from error
            feed.lost[BAD_MESSAGES] += 1
        feed.position = size * (number + 1) // max(1, topic.messages)


def _connections(bag: Any) -> dict[str, list[Any]]:
    """The topics with events, and who published to each."""
    topics: dict[str, list[Any]] = {}
    for connection in bag.connections:
        if connection.msgtype in ros_packets.DEFINITIONS:
            topics.setdefault(connection.topic, []).append(connection)
    return topics


@contextmanager
def _opened(path: Path, ros: int) -> Iterator[Any]:
    """The bag, open."""
    odd = next((sign for sign in "?#%" if sign in str(path)), None)
    if odd and (path.suffix == ".db3" or any(path.glob("*.db3"))):
        # The library puts the path of a database into a URI as it is.
        raise FileError(file_label(path), f"has a '{odd}' in its path, with which it cannot be opened", "Rename it")
    try:
        module = import_module(f"rosbags.rosbag{ros}")
    except ImportError as error:
        found = "is a recording of ROS, and the package rosbags is not installed"
        raise FileError(file_label(path), found, "Install it with: pip install rosbags") from error
    with _errors_of(path):
        bag = module.Reader(path)
        bag.open()
    try:
        yield bag
    finally:
        with _errors_of(path):
            bag.close()


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    """Whatever the library stumbles over in a damaged file, as one error.

    Places beyond the file end in an ``OSError``, lengths beyond the memory in a ``MemoryError``.
    """
    try:
        yield
    except NirbridgeError:
        raise
    except Exception as error:
        reason = reason_of(error).rstrip(".")
        next_step = _REINDEX if "not indexed" in reason or "end magic" in reason else _DAMAGED
        raise FileError(file_label(path), f"is a damaged recording of ROS ({reason})", next_step) from error


def _open(path: Path, ros: int, wanted: Wanted) -> Source:
    where = file_label(path)
    with _opened(path, ros) as bag, _errors_of(path):
        topics = _connections(bag)
        if not topics:
            held = ", ".join(sorted({connection.msgtype for connection in bag.connections})[:8]) or "nothing"
            read = ", ".join(ros_packets.DEFINITIONS)
            raise FileError(where, f"has no topic with events, only {held[:300]}; read are {read}", "Record the events")
        cameras = {str(number): name for number, name in enumerate(topics)}
        name = cameras[choose_camera(where, cameras, wanted.camera)]
        count = sum(connection.msgcount for connection in topics[name])
        topic = Topic(name, topics[name][0].msgtype, count, _types(topics[name][0], ros), ros)
        size = _sensor_size(bag, topic)
    return Source(f"rosbag{ros}", 0, size, lambda feed: decode(feed, topic))


def _types(connection: Any, ros: int) -> Types:
    """The definition of a connection's type: the bag's own where it has a text of the usual kind, else the usual one.

    It is read, but not registered, which would make code of it.
    """
    from rosbags.typesys import get_types_from_msg

    name = connection.msgtype
    own = connection.msgdef.data if connection.msgdef.format.name == "MSG" else ""
    usual = get_types_from_msg(ros_packets.definition(name, ros), name)
    time = get_types_from_msg(ros_packets.TIME, "builtin_interfaces/msg/Time")
    return plain_types({**time, **usual, **(get_types_from_msg(own, name) if own else {})})


def _sensor_size(bag: Any, topic: Topic) -> Size | None:
    """What the first message says, if it is one."""
    for _, _, raw in bag.messages(_connections(bag)[topic.name]):
        try:
            fields = read_message(topic.types, topic.type, raw, topic.ros == 2)
        except MessageError:
            return None
        size = fields.get("width", 0), fields.get("height", 0)
        return known_size(*size) if all(isinstance(length, int) for length in size) else None
    return None


def is_folder(path: Path) -> bool:
    """Whether a folder is a bag of ROS 2."""
    return (path / METADATA).is_file()


def _is_ros2(path: Path, head: bytes) -> bool:
    suffix = path.suffix.lower()
    return (not head and is_folder(path)) or (suffix in (".db3", ".mcap") and head.startswith(MAGICS[suffix]))


READERS = (
    Reader(
        "rosbag1",
        "first bytes '#ROSBAG V'",
        lambda _path, head: head.startswith(MAGICS[".bag"]),
        lambda path, _head, wanted: _open(path, 1, wanted),
        (".bag",),
        frozenset(("camera",)),
    ),
    Reader(
        "rosbag2",
        f"a folder with {METADATA}, or a .db3 or .mcap",
        _is_ros2,
        lambda path, _head, wanted: _open(path, 2, wanted),
        (".db3", ".mcap"),
        frozenset(("camera",)),
    ),
)
