"""Bags of ROS, as the library rosbags writes them from objects, event by event."""

import struct

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tests.events import naive

PER_MESSAGE = 37
EVENT = "uint16 x\nuint16 y\ntime ts\nbool polarity\n"
ARRAY = "std_msgs/Header header\nuint32 height\nuint32 width\n{}/Event[] events\n"
PACKET = (
    "std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\nstring encoding\n"
    "bool is_bigendian\nuint8[] events\n"
)


class Store:
    """The types, and messages of them.

    Args:
        ros: 1 or 2.
        event: another definition of an event.
    """

    def __init__(self, ros, event=EVENT):
        self.ros = ros
        self.types = get_typestore(Stores.ROS1_NOETIC if ros == 1 else Stores.ROS2_HUMBLE)
        for package in ("dvs_msgs", "prophesee_event_msgs"):
            self.types.register(get_types_from_msg(event, f"{package}/msg/Event"))
            self.types.register(get_types_from_msg(ARRAY.format(package), f"{package}/msg/EventArray"))
        self.types.register(get_types_from_msg(PACKET, "event_camera_msgs/msg/EventPacket"))

    def header(self, t, frame="cam"):
        time = self.types.types["builtin_interfaces/msg/Time"](t // 10**6, t % 10**6 * 1000)
        header = self.types.types["std_msgs/msg/Header"]
        return header(0, time, frame) if self.ros == 1 else header(time, frame)

    def array(self, rows, size=(34, 34), package="dvs_msgs", nanoseconds=0):
        time, event = self.types.types["builtin_interfaces/msg/Time"], self.types.types[f"{package}/msg/Event"]
        made = [
            event(x=x, y=y, ts=time(t // 10**6, t % 10**6 * 1000 + nanoseconds), polarity=bool(p))
            for t, x, y, p in rows
        ]
        name = f"{package}/msg/EventArray"
        start = rows[0][0] if rows else 0
        return name, self.types.types[name](self.header(start, "a" * (start % 7)), size[1], size[0], made)

    def packet(self, data, encoding="evt3", seq=0, base=0, size=(34, 34), big=False):
        name = "event_camera_msgs/msg/EventPacket"
        events = np.frombuffer(data, np.uint8)
        return name, self.types.types[name](self.header(0), size[1], size[0], seq, base, encoding, big, events)

    def raw(self, name, message):
        return bytes((self.types.serialize_ros1 if self.ros == 1 else self.types.serialize_cdr)(message, name))


def write(path, store, topics, storage="sqlite3", compression=None):
    """A bag with the messages of each topic, (type, message) or (type, bytes), in turns; returns what to open."""
    if store.ros == 1:
        writer = Writer1(path)
        if compression:
            writer.set_compression(Writer1.CompressionFormat[compression])
    else:
        writer = Writer2(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
        if compression:
            writer.set_compression(CompressionMode[compression], CompressionFormat.ZSTD)
    with writer:
        open_topics = {
            topic: writer.add_connection(topic, messages[0][0], typestore=store.types)
            for topic, messages in topics.items()
        }
        for number in range(max(map(len, topics.values()))):
            for topic, messages in topics.items():
                if number < len(messages):
                    name, message = messages[number]
                    raw = message if isinstance(message, bytes) else store.raw(name, message)
                    writer.write(open_topics[topic], 1000 + number, raw)
    return path


def in_messages(rows, size=PER_MESSAGE):
    """Rows in groups, the first of one event and the second of none."""
    return [rows[:1], []] + [rows[start : start + size] for start in range(1, len(rows), size)]


def evt3_payloads(rows, size=50):
    """The words of EVT 3.0 in pieces that do not care where a state begins."""
    words = naive.write_evt3(rows)[len(naive.HEADER_3) :]
    return [words[start : start + 2 * size] for start in range(0, len(words), 2 * size)]


def mono_payload(rows, base):
    """64 bits an event: nanoseconds since ``base`` [ns], x, y with the polarity above it."""
    return b"".join(struct.pack("<IHH", t * 1000 - base, x, y | p << 15) for t, x, y, p in rows)


def libcaer_payload(rows, base):
    """64 bits an event: data and µs since ``base`` [µs], of which 31 bits are sent."""
    return b"".join(struct.pack("<II", 1 | p << 1 | y << 2 | x << 17, t - base & 0x7FFFFFFF) for t, x, y, p in rows)
