"""Times that go back, leap and wrap; passes that go on where they ended; the report; tonic's data sets."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording, write_es, write_nmnist
from nirbridge_events.readers import order as order_module
from nirbridge_events.readers.order import TimeOrder
from tests.events import naive


def events_at(times):
    """Events at these times; x and y tell them apart."""
    t = np.array(times, dtype=np.int64)
    index = np.arange(len(t))
    return Events((index & 0xFF).astype("u2"), (index >> 8).astype("u2"), t, (index & 1).astype("u1"))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 30), max_size=80), st.data(), st.integers(0, 12))
def test_jitter_is_sorted_for_any_split(steps, data, jitter):
    base = np.cumsum([5, *steps])
    shift = np.array(data.draw(st.lists(st.integers(0, jitter), min_size=len(base), max_size=len(base))))
    times = base - shift
    # Whatever goes back further than the jitter is a mistake and no part of this test.
    keep, top = [], -1
    for i, t in enumerate(times):
        if t >= top - jitter:
            keep.append(i)
            top = max(top, t)
    events = events_at(times[keep])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=6)))
    order, parts = TimeOrder(jitter), []
    for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True):
        assert order.too_early(events.t[a:b]) is None
        parts.append(order.push(events[a:b]))
    parts.append(order.flush())
    wanted = sorted(naive.rows_of(events), key=lambda row: row[0])
    assert naive.rows_of(Events.concatenate(parts)) == wanted
    tops = np.maximum.accumulate(events.t)
    assert order.sorted_events == int((events.t < tops).sum())
    assert order.taken == len(events)


def test_jitter_is_sorted_and_said(tmp_path):
    rows = [(5000, 1, 1, 1), (5600, 2, 2, 0), (4600, 3, 3, 1), (5599, 4, 4, 0), (9000, 5, 5, 1)]
    recording = open_recording(naive.events_of(rows), (34, 34))
    assert naive.rows_of(Events.concatenate(list(recording))) == sorted(rows)
    assert recording.report.sorted_events == 2
    assert "2 events came out of order and were sorted." in " ".join(recording.notes())
    with pytest.raises(InputError) as error:
        list(open_recording(naive.events_of(rows), (34, 34), jitter=999))
    assert "event 2 has time 4600 µs after 5600 µs; times must not go back by more than 999 µs" in str(error.value)
    assert naive.rows_of(Events.concatenate(list(open_recording(naive.events_of(sorted(rows)), jitter=0)))) == sorted(
        rows
    )


@pytest.mark.parametrize("jitter", [-1, 1.5, "a", True, 10**10])
def test_a_jitter_that_is_none(jitter):
    with pytest.raises(InputError, match="is not a number of µs"):
        open_recording(naive.events_of([(1, 2, 3, 1)]), jitter=jitter)


def test_jumps_are_counted(tmp_path):
    rows = [(0, 1, 1, 1), (1_000_000, 2, 2, 1), (2_000_001, 3, 3, 1), (60_000_000, 4, 4, 1), (60_000_001, 5, 5, 0)]
    write_es(tmp_path / "a.es", naive.events_of(rows), (34, 34))
    recording = open_recording(tmp_path / "a.es")
    assert naive.rows_of(Events.concatenate(list(recording))) == rows
    assert (recording.report.jumps, recording.report.longest_jump_us) == (2, 57_999_999)
    assert "time jumps forward 2 times, by 58 s at most." in " ".join(recording.notes())


def test_equal_times_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr(order_module, "HELD_EVENTS", 100)
    order = TimeOrder(1000)
    given = 0
    for i in range(50):
        given += len(order.push(events_at([77] * 30)))
        assert (i + 1) * 30 - given <= 100
    assert given + len(order.flush()) == 1500


def test_a_pass_goes_on_from_an_event_or_a_time(tmp_path, monkeypatch):
    from nirbridge_events.readers import base

    monkeypatch.setattr(base, "BLOCK_BYTES", 50)
    events = naive.make_events(np.random.default_rng(0), 3000, (34, 34), span=50_000)
    write_nmnist(tmp_path / "a.bin", events)
    recording = open_recording(tmp_path / "a.bin")
    rows = naive.rows_of(events)
    taken = []
    for chunk in recording:
        taken += naive.rows_of(chunk)
        if len(taken) > 1000:
            break
    assert recording.report.events == len(taken)
    rest = Events.concatenate(list(recording.read(from_event=recording.report.events)))
    assert taken + naive.rows_of(rest) == rows
    assert recording.report.events == 3000
    for start in (0, 1, 1499, 2999, 3000, 9999):
        assert naive.rows_of(Events.concatenate(list(recording.read(from_event=start)))) == rows[start:]
    late = Events.concatenate(list(recording.read(from_time=25_000)))
    assert naive.rows_of(late) == [row for row in rows if row[0] >= 25_000]


def test_a_wrong_name_is_said_and_the_content_counts(tmp_path):
    events = naive.make_events(np.random.default_rng(0), 50, (34, 34))
    write_es(tmp_path / "a.bin", events, (34, 34))
    recording = open_recording(tmp_path / "a.bin")
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
    assert "is named like nmnist; its content is es and is read as that." in " ".join(recording.notes())
    write_nmnist(tmp_path / "b.es", events)
    with pytest.raises(FileError, match="which no reader knows, although it is named like es; known are es"):
        open_recording(tmp_path / "b.es")


@pytest.fixture
def tonic_root(tmp_path, monkeypatch):
    """A folder that tonic takes for a complete N-MNIST."""
    tonic = pytest.importorskip("tonic")
    for digit in range(3):
        folder = tmp_path / "NMNIST" / "Test" / str(digit)
        folder.mkdir(parents=True)
        write_nmnist(folder / "00001.bin", naive.make_events(np.random.default_rng(digit), 100, (34, 34)))
    monkeypatch.setattr(tonic.datasets.NMNIST, "_check_exists", lambda self: "download" not in self.location_on_system)
    return tmp_path


def test_tonic_by_name(tonic_root):
    recording = open_recording(f"tonic:NMNIST?root={tonic_root}&index=2&train=false")
    wanted = naive.make_events(np.random.default_rng(2), 100, (34, 34))
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(wanted)
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("tonic", (34, 34), "format")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("tonic:NMNIST?index=0", "does not say where the data are"),
        ("tonic:NMNIST?root={root}&colour=1", "has no option 'colour'"),
        ("tonic:MNIST?root={root}", "tonic has no data set 'MNIST'"),
        ("tonic:NMNIST?root={root}&train=maybe", "'maybe' is neither true nor false"),
        ("tonic:NMNIST?root={root}&train=false&index=3", "index '3' is not in 0..2"),
        ("tonic:NMNIST?root={root}&train=false&index=-1", "index '-1' is not in 0..2"),
        ("tonic:NMNIST?root={root}/download", "Put it there, or add &download=true to fetch it"),
    ],
)
def test_tonic_names_that_are_wrong(tonic_root, source, found):
    with pytest.raises(InputError) as error:
        open_recording(source.format(root=tonic_root))
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_tonic_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tonic", None)
    with pytest.raises(InputError, match="needs the package tonic"):
        open_recording("tonic:NMNIST?root=x")


def test_sets_that_tonic_cannot_read_are_read_here(tmp_path, monkeypatch):
    faery = pytest.importorskip("faery")
    tonic = pytest.importorskip("tonic")
    events = naive.make_events(np.random.default_rng(0), 100, (128, 128))
    array = np.zeros(len(events), dtype=faery.EVENTS_DTYPE)
    array["t"], array["x"], array["y"], array["on"] = events.t, events.x, events.y, events.p
    folder = tmp_path / "CIFAR10DVS" / "bird"
    folder.mkdir(parents=True)
    faery.events_stream_from_array(array, (128, 128)).to_file(folder / "a.aedat4")
    monkeypatch.setattr(tonic.datasets.CIFAR10DVS, "_check_exists", lambda self: True)
    monkeypatch.setitem(__import__("sys").modules, "aedat", None)
    recording = open_recording(f"tonic:CIFAR10DVS?root={tmp_path}")
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
    shutil.rmtree(folder)
