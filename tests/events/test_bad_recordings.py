"""Whatever is wrong with a recording: one line that names the file and the place, and nothing read is lost."""

import gzip

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, open_recording, write_es, write_nmnist
from nirbridge_events.readers.base import CUT
from tests.events import naive

HEADER_ES = b"Event Stream\x02\x00\x00\x01\x0a\x00\x08\x00"
PREFIXES = {"a.bin": b"", "a.es": HEADER_ES, "evt2.raw": naive.HEADER_2, "evt3.raw": naive.HEADER_3}


def message(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def read_until_error(path, sensor_size=None):
    """Events read before the error, and the error or None."""
    events, error, _ = read_and_report(path, sensor_size)
    return events, error


def read_and_report(path, sensor_size):
    """Besides these, what the report calls lost; nothing is where an error came."""
    chunks = []
    try:
        recording = open_recording(path, sensor_size)
        for chunk in recording:
            chunks.append(chunk)
    except FileError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
        return Events.concatenate(chunks), error, {}
    return Events.concatenate(chunks), None, recording.report.lost


@pytest.mark.parametrize("name", ["dvs.es", "evt2.raw", "evt3_sample.raw"])
def test_every_truncation_keeps_what_was_whole(shared_data, tmp_path, name):
    source = shared_data / "events" / name
    data, whole, size = source.read_bytes(), read_until_error(source)[0], open_recording(source).sensor_size
    rng = np.random.default_rng(0)
    cuts = 0
    for cut in [0, 1, 11, 19, 20, 21, 60, 165, *rng.integers(166, len(data), 80).tolist()]:
        path = tmp_path / f"{cut}{source.suffix}"
        path.write_bytes(data[:cut])
        events, error, lost = read_and_report(path, size)
        assert error is None or "holds no event" in str(error) or cut < 166
        for field in "txyp":
            assert np.array_equal(getattr(events, field), getattr(whole, field)[: len(events)])
        assert len(events) or error
        cuts += CUT in lost
    assert cuts >= 32


@pytest.mark.parametrize("left", [1, 2, 3, 4])
def test_a_cut_word_costs_only_itself(tmp_path, left):
    path = tmp_path / "a.bin"
    write_nmnist(path, naive.make_events(np.random.default_rng(0), 50, (34, 34)))
    path.write_bytes(path.read_bytes()[: 200 + left])
    recording = open_recording(path)
    assert len(Events.concatenate(list(recording))) == 40
    assert recording.report.lost == {CUT: left}


@pytest.mark.parametrize("name", PREFIXES)
def test_random_bytes_are_read_or_refused_in_one_line(tmp_path, name):
    rng = np.random.default_rng(7)
    errors = 0
    for trial in range(60):
        body = rng.integers(0, 256, int(rng.integers(0, 4000)), dtype=np.uint8).tobytes()
        (tmp_path / name).write_bytes(PREFIXES[name] + body)
        _, error = read_until_error(tmp_path / name, (10, 8) if trial % 2 and name != "a.es" else None)
        errors += error is not None
    assert errors >= 55


@pytest.mark.parametrize("name", ["a.bin", "a.es", "a.raw", "a.dat", "a"])
def test_zero_length(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / name)
    assert "is empty (0 bytes)" in message(error)


@pytest.mark.parametrize("name", ["a.es", "evt2.raw", "evt3.raw"])
def test_a_header_without_events(tmp_path, name):
    (tmp_path / name).write_bytes(PREFIXES[name])
    with pytest.raises(FileError) as error:
        list(open_recording(tmp_path / name))
    assert "holds no event" in message(error)


FOREIGN = {
    "a.raw.gz": (gzip.compress(b"% evt 2.0\n"), "gunzip"),
    "a.bin": (gzip.compress(b"abc"), "gunzip"),
    "a.nir": (b"\x89HDF\r\n\x1a\n", "--model"),
    "a.raw": (b"\x00\x01\x02", "no reader knows"),
    "b.raw": (b"% Date 2020\n\x00\x01", "without the line '% evt VERSION'"),
    "c.raw": (b"% evt 4.0\n\x00\x01\x02\x03", "EVT 4.0; EVT 2.0, 2.1 and 3.0 are read"),
    "d.raw": (b"% format EVT4;height=720;width=1280\n% end\n\x00", "EVT 4"),
    "e.raw": (b"% evt 2.0\n% Date 20", "header line at offset 10 is open"),
    "f.txt": (b"a short letter\n", "has no four columns in its line"),
    "g.es": (b"Event Stream\x01\x00\x00\x01\x0a\x00\x08\x00", "version 1"),
    "h.es": (b"Event Stream\x02\x00\x00\x02\x0a\x00\x08\x00", "ATIS"),
    "i.es": (b"Event Stream\x02\x00\x00\x01\x00\x00\x08\x00", "0x8 pixels"),
    "j.es": (b"Event Stream\x02\x00\x00\x01\x0a", "ends inside its header: 17 of 20 bytes"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files(tmp_path, name):
    data, expected = FOREIGN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / name)
    assert expected in message(error)
    assert str(tmp_path / name) in message(error)


def test_missing_and_folder(tmp_path):
    with pytest.raises(FileError) as error:
        open_recording(tmp_path / "none.es")
    assert "does not exist" in message(error)
    with pytest.raises(FileError) as error:
        open_recording(tmp_path)
    assert "is a folder" in message(error)


def test_an_event_outside_the_sensor_is_named_and_the_ones_before_are_kept(tmp_path):
    write_nmnist(tmp_path / "a.bin", naive.events_of([(1, 2, 3, 1), (2, 33, 33, 0), (3, 34, 5, 1), (4, 1, 1, 1)]))
    events, error = read_until_error(tmp_path / "a.bin")
    assert naive.rows_of(events) == [(1, 2, 3, 1), (2, 33, 33, 0)]
    assert "event 2 lies at (34, 5), outside the sensor of 34x34 pixels" in str(error)


def test_time_that_goes_back_is_named_across_chunks(tmp_path, monkeypatch):
    from nirbridge_events.readers import base

    (tmp_path / "a.bin").write_bytes(bytes([1, 1, 0, 4, 9, 2, 2, 0, 4, 9, 3, 3, 0, 0, 32, 4, 4, 0, 4, 9]))
    for block in (5, 10, 1000):
        monkeypatch.setattr(base, "BLOCK_BYTES", block)
        events, error = read_until_error(tmp_path / "a.bin")
        assert len(events) == 2
        assert "event 2 has time 32 µs after 1033 µs; times must not go back by more than 1000 µs" in str(error)


def test_a_word_of_unknown_kind_is_named_by_its_offset(tmp_path):
    data = naive.write_evt3([(5000, 1, 2, 1), (5001, 2, 2, 1)])
    (tmp_path / "a.raw").write_bytes(data + b"\x00\x90" + data[len(naive.HEADER_3) :])
    events, error = read_until_error(tmp_path / "a.raw", (34, 34))
    assert naive.rows_of(events) == [(5000, 1, 2, 1), (5001, 2, 2, 1)]
    assert f"the word at offset {len(data)} is of kind 0x9, which EVT 3.0 does not have" in str(error)


def test_a_size_that_contradicts_the_file(tmp_path):
    write_es(tmp_path / "a.es", naive.events_of([(1, 2, 3, 1)]), (10, 8))
    with pytest.raises(InputError) as error:
        open_recording(tmp_path / "a.es", (20, 8))
    assert "is of a sensor of 10x8 pixels, 20x8 was given" in message(error)
    assert open_recording(tmp_path / "a.es", (10, 8)).source.size_origin == "file"


@pytest.mark.parametrize("size", [(0, 5), (5,), (5, 5, 5), "ab", (1.5, 2), (70_000, 3), (float("inf"), 3)])
def test_a_size_that_is_none(size):
    with pytest.raises(InputError) as error:
        open_recording(naive.events_of([(1, 2, 3, 1)]), size)
    assert "(width, height)" in message(error)


BAD_ARRAYS = {
    "no fields": (np.zeros(3), "without fields"),
    "no polarity": (np.zeros(3, dtype=[("x", "u2"), ("y", "u2"), ("t", "i8")]), "instead of x, y, t and p"),
    "seconds": (np.zeros(3, dtype=[("x", "u2"), ("y", "u2"), ("t", "f8"), ("p", "?")]), "field 't' is float64"),
    "negative": (np.full(3, -1, dtype=[("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "?")]), "on any sensor"),
    "none": (np.zeros(0, dtype=[("x", "u2"), ("y", "u2"), ("t", "i8"), ("p", "?")]), "holds no event"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_arrays_that_are_no_events(name):
    array, expected = BAD_ARRAYS[name]
    with pytest.raises(InputError) as error:
        open_recording(array)
    assert expected in message(error)


def test_events_of_other_types_or_lengths():
    x, t, p = np.zeros(3, np.uint16), np.zeros(3, np.int64), np.zeros(3, np.uint8)
    for arrays in [(x, x, t, p[:2]), (x, x.astype(float), t, p), (x, x, t.astype(float), p)]:
        with pytest.raises(InputError) as error:
            Events(*arrays)
        assert "not uint16, uint16, int64, uint8" in message(error)


def test_writers_refuse_what_the_format_cannot_hold(tmp_path):
    for rows, expected in [
        ([(1, 2, 240, 1)], "outside the sensor of 256x240"),
        ([(5, 1, 1, 1), (4, 1, 1, 1)], "goes back"),
        ([(1 << 23, 1, 1, 1)], "leave 0..8388607"),
    ]:
        with pytest.raises(InputError) as error:
            write_nmnist(tmp_path / "a.bin", naive.events_of(rows))
        assert expected in message(error)
    events = naive.events_of([(1, 1, 1, 1)])
    with pytest.raises(InputError, match="polarity 2 is neither 0 nor 1"):
        write_es(tmp_path / "a.es", Events(events.x, events.y, events.t, events.p * np.uint8(2)), (4, 4))
    with pytest.raises(InputError, match="65536x4 exceeds the 65535"):
        write_es(tmp_path / "a.es", events, (65536, 4))
    assert list(tmp_path.iterdir()) == []
