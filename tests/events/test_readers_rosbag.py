"""Bags of ROS 1 and 2, against what was put into them event by event."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge_events import Events, open_recording
from nirbridge_events.readers import ros_messages, rosbag
from nirbridge_events.readers.wanted import SeveralCamerasError
from tests.events import bags, naive

EPOCH = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def ros1():
    return bags.Store(1)


@pytest.fixture(scope="module")
def ros2():
    return bags.Store(2)


@pytest.fixture(scope="module")
def rows():
    return naive.rows_of(naive.make_events(np.random.default_rng(3), 400, (34, 34), span=90_000, start=EPOCH))


def rows_of(recording):
    return naive.rows_of(Events.concatenate(list(recording)))


def arrays(store, rows, **more):
    return [store.array(part, **more) for part in bags.in_messages(rows)]


@pytest.mark.parametrize("package", ["dvs_msgs", "prophesee_event_msgs"])
@pytest.mark.parametrize("compression", [None, "LZ4", "BZ2"])
def test_bags_of_ros1(tmp_path, ros1, rows, package, compression):
    messages = arrays(ros1, rows, package=package)
    path = bags.write(tmp_path / "a.bag", ros1, {"/dvs/events": messages}, compression=compression)
    recording = open_recording(path)
    assert (recording.source.format, recording.sensor_size, recording.source.size_origin) == (
        "rosbag1", (34, 34), "file",
    )  # fmt: skip
    assert rows_of(recording) == rows
    assert rows_of(recording) == rows, "a second pass"
    assert recording.notes() == []
    assert recording.current.feed.position == recording.source.total_bytes == path.stat().st_size


@pytest.mark.parametrize(
    ("storage", "compression"), [("sqlite3", None), ("mcap", None), ("sqlite3", "MESSAGE"), ("mcap", "STORAGE")]
)
def test_bags_of_ros2(tmp_path, ros2, rows, storage, compression):
    folder = bags.write(tmp_path / "b", ros2, {"/cam": arrays(ros2, rows)}, storage, compression)
    assert rows_of(open_recording(folder)) == rows
    (file,) = (file for file in folder.iterdir() if file.name != "metadata.yaml")
    if compression != "MESSAGE":  # which the folder alone says
        assert rows_of(open_recording(file)) == rows
    assert open_recording(folder).source.total_bytes == sum(file.stat().st_size for file in folder.iterdir())


@pytest.mark.parametrize("ros", [1, 2])
def test_fields_lie_as_the_definition_in_the_bag_says(tmp_path, rows, ros):
    store = bags.Store(ros, "time ts\nbool polarity\nuint8 more\nuint16 y\nuint16 x\n")
    event = store.types.types["dvs_msgs/msg/Event"]
    time = store.types.types["builtin_interfaces/msg/Time"]
    made = [event(time(t // 10**6, t % 10**6 * 1000), bool(p), 7, y, x) for t, x, y, p in rows]
    message = store.types.types["dvs_msgs/msg/EventArray"](store.header(0), 34, 34, made)
    path = bags.write(tmp_path / ("o.bag" if ros == 1 else "o"), store, {"/a": [("dvs_msgs/msg/EventArray", message)]})
    assert rows_of(open_recording(path)) == rows


def test_bags_without_definitions_are_read_by_the_usual_ones(tmp_path, ros2, rows):
    folder = bags.write(tmp_path / "b", ros2, {"/cam": arrays(ros2, rows)})
    with closing(sqlite3.connect(folder / "b.db3")) as database, database:
        database.execute("DELETE FROM message_definitions")
    assert rows_of(open_recording(folder)) == rows


@pytest.mark.parametrize("ros", [1, 2])
def test_packets_of_evt3_go_on_from_message_to_message(tmp_path, ros1, ros2, ros):
    store = ros1 if ros == 1 else ros2
    rows = naive.rows_of(naive.make_events(np.random.default_rng(4), 500, (34, 34), span=3 << 23, start=5))
    messages = [store.packet(data, seq=i) for i, data in enumerate(bags.evt3_payloads(rows))]
    path = bags.write(tmp_path / ("e.bag" if ros == 1 else "e"), store, {"/cam": messages})
    recording = open_recording(path)
    assert rows_of(recording) == rows
    assert recording.report.wraps == 1
    assert recording.report.losses() == []


def test_packets_that_are_missing_are_counted(tmp_path, ros2):
    messages = [ros2.packet(bags.mono_payload([(t, 1, 2, 1)], 0), "mono", seq=t) for t in (3, 4, 9, 10, 2, 4)]
    recording = open_recording(bags.write(tmp_path / "m", ros2, {"/cam": messages}))
    assert len(rows_of(recording)) == 6
    assert recording.report.lost == {"messages are missing, by their numbers": 5}


def test_packets_of_mono_and_libcaer(tmp_path, ros2):
    rows = [(t, t % 34, t // 2 % 34, t % 2) for t in range(EPOCH, EPOCH + 900, 3)]
    wrapping = EPOCH - (1 << 31) + 450
    for encoding, payload in (
        ("mono", bags.mono_payload(rows, EPOCH * 1000 - 500_000)),
        ("libcaer", bags.libcaer_payload(rows, wrapping)),
    ):
        base = EPOCH * 1000 - 500_000 if encoding == "mono" else wrapping * 1000
        folder = bags.write(tmp_path / encoding, ros2, {"/cam": [ros2.packet(payload, encoding, base=base)]})
        assert rows_of(open_recording(folder)) == rows


def test_nanoseconds_are_rounded_and_said(tmp_path, ros1):
    messages = [ros1.array([(1000, 1, 1, 1)], nanoseconds=600)]
    recording = open_recording(bags.write(tmp_path / "n.bag", ros1, {"/a": messages}))
    assert rows_of(recording) == [(1001, 1, 1, 1)]
    assert recording.report.notices == ("its times are rounded to whole µs",)


@pytest.mark.parametrize("payload", [bags.mono_payload, bags.libcaer_payload])
@pytest.mark.parametrize(("base", "notices"), [(600, ("its times are rounded to whole µs",)), (2000, ())])
def test_packets_between_microseconds_are_rounded_and_said(tmp_path, ros2, payload, base, notices):
    encoding = payload.__name__.removesuffix("_payload")
    folder = bags.write(tmp_path / "n", ros2, {"/a": [ros2.packet(payload([(5, 1, 1, 1)], 0), encoding, base=base)]})
    recording = open_recording(folder)
    assert rows_of(recording) == [(5 + round(base / 1000), 1, 1, 1)]
    assert recording.report.notices == notices


def test_one_of_several_cameras_is_chosen(tmp_path, ros1, rows):
    left, right = rows[:200], rows[200:]
    topics = {"/dvs/left/events": arrays(ros1, left), "/dvs/right/events": arrays(ros1, right, size=(64, 48))}
    path = bags.write(tmp_path / "two.bag", ros1, topics)
    with pytest.raises(SeveralCamerasError, match=r"0 \(/dvs/left/events\), 1 \(/dvs/right/events\)") as caught:
        open_recording(path)
    assert caught.value.cameras == {"0": "/dvs/left/events", "1": "/dvs/right/events"}
    assert rows_of(open_recording(path, camera="left")) == left
    chosen = open_recording(path, camera=1)
    assert chosen.sensor_size == (64, 48)
    assert rows_of(chosen) == right


def test_a_bag_without_events_says_what_it_holds(tmp_path, ros1):
    text = ros1.types.types["std_msgs/msg/String"]("x")
    path = bags.write(tmp_path / "s.bag", ros1, {"/a": [("std_msgs/msg/String", text)]})
    with pytest.raises(FileError, match=r"no topic with events, only std_msgs/msg/String"):
        open_recording(path)


def test_a_damaged_message_is_named_or_left_out(tmp_path, ros1):
    good = ros1.array([(5, 1, 1, 1)])
    cut = (good[0], ros1.raw(*ros1.array([(6, 1, 1, 1), (7, 2, 2, 0)]))[:-3])
    path = bags.write(tmp_path / "d.bag", ros1, {"/a": [good, cut, ros1.array([(8, 3, 3, 0)])]})
    with pytest.raises(FileError, match=r"message 1 of topic '/a', recorded at 1001 ns, ends after"):
        rows_of(open_recording(path))
    skipping = open_recording(path, bad_events="skip")
    assert rows_of(skipping) == [(5, 1, 1, 1), (8, 3, 3, 0)]
    assert skipping.report.lost == {"messages are damaged and were left out": 1}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"encoding": "evt9"}, "in the encoding 'evt9'; evt3, mono, libcaer are read"),
        ({"encoding": "mono", "big": True}, "big-endian"),
        ({"encoding": "mono", "data": b"abc"}, "3 bytes of events, which is no multiple of 8"),
        ({"encoding": "mono", "base": 1 << 63}, "which is no time"),
    ],
)
def test_packets_that_cannot_be_read(tmp_path, ros2, more, found):
    message = ros2.packet(**{"data": bytes(16), **more})
    folder = bags.write(tmp_path / "p", ros2, {"/a": [message]})
    with pytest.raises(FileError, match=found):
        list(open_recording(folder, (34, 34)))


@pytest.mark.parametrize("kind", ["bag", "sqlite3", "mcap"])
def test_damage_anywhere_gives_an_error_of_ours(tmp_path, ros1, ros2, rows, kind):
    store, rng = ros1 if kind == "bag" else ros2, np.random.default_rng(5)
    made = bags.write(tmp_path / ("x.bag" if kind == "bag" else "x"), store, {"/a": arrays(store, rows)}, kind)
    file = made if kind == "bag" else next(file for file in made.iterdir() if file.name != "metadata.yaml")
    whole, ends = file.read_bytes(), []
    for number in range(24):
        data = bytearray(whole)
        if number < 10:
            data = data[: len(data) * number // 10]
        else:
            places = rng.integers(0, len(data), 30)
            for place in places:
                data[place] ^= int(rng.integers(1, 256))
        file.write_bytes(data)
        try:
            list(open_recording(made, bad_events="skip"))
        except NirbridgeError as error:
            assert len(str(error).splitlines()) == 1
            ends.append(str(error))
    assert len(ends) >= 10


def test_a_bag_that_was_not_closed_is_told_from_a_damaged_one(tmp_path, ros1, rows):
    path = bags.write(tmp_path / "x.bag", ros1, {"/a": arrays(ros1, rows)})
    data = path.read_bytes()
    at = data.index(b"index_pos=") + len(b"index_pos=")
    path.write_bytes(data[:at] + bytes(8) + data[at + 8 :])
    with pytest.raises(FileError, match=r"not indexed.*Run 'rosbag reindex'"):
        open_recording(path)


def test_a_hostile_definition_ends(ros1):
    from rosbags.typesys import get_types_from_msg

    inner = ros_messages.plain_types(get_types_from_msg("pkg/A a\npkg/A b\n", "pkg/msg/A"))
    with pytest.raises(ros_messages.MessageError, match="more than 256 fields"):
        ros_messages.read_message(inner, "pkg/msg/A", b"", cdr=False)
    outer = {**ros_messages.plain_types(get_types_from_msg("pkg/A[] a\n", "pkg/msg/B")), **inner}
    with pytest.raises(ros_messages.MessageError, match="more than 256 fields"):
        ros_messages.read_message(outer, "pkg/msg/B", b"\xff\xff\xff\xff" + bytes(64), cdr=False)


@pytest.mark.parametrize("cdr", [False, True])
def test_a_claimed_length_takes_no_memory(cdr):
    from rosbags.typesys import get_types_from_msg

    types = ros_messages.plain_types(get_types_from_msg("uint8[] a\n", "pkg/msg/A"))
    with pytest.raises(ros_messages.MessageError, match="are needed"):
        ros_messages.read_message(types, "pkg/msg/A", (b"\0\1\0\0" if cdr else b"") + b"\xff\xff\xff\x7f", cdr)


def test_without_the_library_the_next_step_is_said(tmp_path, ros1, rows, monkeypatch):
    path = bags.write(tmp_path / "x.bag", ros1, {"/a": arrays(ros1, rows)})

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(rosbag, "import_module", missing)
    with pytest.raises(FileError, match="pip install rosbags"):
        open_recording(path)


def test_a_path_that_the_library_cannot_open_is_refused(tmp_path, ros2, rows):
    folder = bags.write(tmp_path / "b", ros2, {"/a": arrays(ros2, rows)})
    named = folder.rename(tmp_path / "take #1")
    with pytest.raises(FileError, match="has a '#' in its path"):
        open_recording(named)


def test_a_folder_that_is_no_bag_is_refused(tmp_path):
    with pytest.raises(FileError, match="is a folder"):
        open_recording(tmp_path)


def test_options_of_tables_do_not_apply(tmp_path, ros1, rows):
    path = bags.write(tmp_path / "x.bag", ros1, {"/a": arrays(ros1, rows)})
    with pytest.raises(InputError, match="is rosbag1, to which --time-unit does not apply"):
        open_recording(path, time_unit="s")
