"""Readers against the figures of real recordings, against slow decoders, and against faery where it is right."""

import csv

import numpy as np
import pytest

from nirbridge_events import Events, open_recording, write_es, write_nmnist
from nirbridge_events.readers import base
from tests.events import naive

SAMPLES = {
    "dvs.es": ("es", (320, 240), "file", 473_225, 999_000),
    "evt2.raw": ("evt2", (640, 480), "inferred", 521_252, 95_871),
    "evt3_sample.raw": ("evt3", (1280, 720), "inferred", 219_596, 8_801),
}


def read(path, sensor_size=None):
    return Events.concatenate(list(open_recording(path, sensor_size)))


@pytest.mark.parametrize("name", SAMPLES)
def test_real_recordings_give_the_known_figures(shared_data, name):
    kind, size, origin, count, span = SAMPLES[name]
    recording = open_recording(shared_data / "events" / name)
    chunks = list(recording)
    events = Events.concatenate(chunks)
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == (kind, size, origin)
    assert (len(events), recording.report.events, events.t[-1] - events.t[0]) == (count, count, span)
    assert (events.x.max() + 1, events.y.max() + 1) == size
    assert (events.x.dtype, events.y.dtype, events.t.dtype, events.p.dtype) == ("u2", "u2", "i8", "u1")
    assert len(chunks) > 1
    assert not recording.report.skipped
    assert any("does not say its sensor size" in note for note in recording.notes()) == (origin == "inferred")


@pytest.mark.parametrize("name", SAMPLES)
def test_coordinates_and_polarities_equal_faery(shared_data, name):
    faery = pytest.importorskip("faery")
    path = shared_data / "events" / name
    theirs, ours = faery.events_stream_from_file(path).to_array(), read(path)
    for field in "xyp":
        np.testing.assert_array_equal(getattr(ours, field), theirs[field])
    if name != "evt3_sample.raw":
        np.testing.assert_array_equal(ours.t, theirs["t"].astype(np.int64))


def test_evt3_times_equal_a_decoder_word_by_word(shared_data):
    path = shared_data / "events" / "evt3_sample.raw"
    words = path.read_bytes()[166:]
    ours = read(path)
    assert naive.rows_of(ours) == naive.decode_evt3(words)
    # faery holds a time back when one low word jumps 3 to 11 µs ahead and the next one returns, so it differs there.
    faery = pytest.importorskip("faery")
    ahead = faery.events_stream_from_file(path).to_array()["t"].astype(np.int64) - ours.t
    assert (ahead.min(), ahead.max(), int((ahead > 0).sum())) == (0, 11, 1455)


def test_es_equals_a_decoder_byte_by_byte(shared_data):
    path = shared_data / "events" / "dvs.es"
    assert naive.rows_of(read(path)) == naive.decode_es(path.read_bytes())


def test_nmnist_recordings_equal_a_decoder_event_by_event(shared_data):
    folder = shared_data / "nmnist-small" / "train"
    with (folder.parent / "labels.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file)]
    counts, spans = [], []
    for name in names[::20]:
        recording = open_recording(folder / name)
        events = Events.concatenate(list(recording))
        assert naive.rows_of(events) == naive.decode_nmnist((folder / name).read_bytes())
        source = recording.source
        assert (source.sensor_size, source.size_origin) == ((34, 34), "format")
        counts.append(len(events))
        spans.append(int(events.t[-1] - events.t[0]))
    assert np.mean(counts) == pytest.approx(4133, rel=0.1)
    assert np.mean(spans) == pytest.approx(306_000, rel=0.01)


WRITERS = {
    "a.bin": lambda path, events: write_nmnist(path, events),
    "a.es": lambda path, events: write_es(path, events, (30, 20)),
    "evt2.raw": lambda path, events: path.write_bytes(naive.write_evt2(naive.rows_of(events))),
    "evt3.raw": lambda path, events: path.write_bytes(naive.write_evt3(naive.rows_of(events))),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("block", [4, 20, 28, 1 << 18])
def test_what_was_written_is_read_whatever_the_block(tmp_path, monkeypatch, name, block):
    monkeypatch.setattr(base, "BLOCK_BYTES", block)
    events = naive.make_events(np.random.default_rng(block), 300, (30, 20), span=100_000, start=5_000)
    WRITERS[name](tmp_path / name, events)
    recording = open_recording(tmp_path / name, (30, 20))
    for _ in range(2):
        assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)


def test_es_specials_may_look_like_events_and_events_like_specials(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    body = b"".join(
        bytes([rng.integers(0xFE, 0x100)])
        if rng.random() < 0.4
        else bytes([rng.integers(0, 0xFE), *rng.choice([0xFE, 0xFF, 1], 4)])
        for _ in range(400)
    )
    data = b"Event Stream\x02\x00\x00\x01" + b"\xff\xff\xff\xff" + body
    (tmp_path / "a.es").write_bytes(data)
    expected = naive.decode_es(data)
    for block in (1, 7, 64, 1 << 18):
        monkeypatch.setattr(base, "BLOCK_BYTES", block)
        _, chunks = open_recording(tmp_path / "a.es").source.start_pass()
        rows = naive.rows_of(Events.concatenate(list(chunks)))
        assert expected == rows


def test_nmnist_overflow_words_add_time(tmp_path):
    data = bytes([3, 4, 0x80, 0, 9, 0, 240, 0, 0, 0, 5, 6, 0, 0, 1, 0, 240, 0, 0, 0, 7, 8, 0x81, 0, 2])
    (tmp_path / "a.bin").write_bytes(data)
    expected = [(9, 3, 4, 1), (8192 + 1, 5, 6, 0), (2 * 8192 + 65536 + 2, 7, 8, 1)]
    assert naive.rows_of(read(tmp_path / "a.bin")) == expected


def test_a_first_event_that_begins_as_gzip_does_is_one(tmp_path):
    """Of N-Caltech101 every 43,200th recording begins at (31, 139), the first two bytes of gzip."""
    (tmp_path / "a.bin").write_bytes(bytes([31, 139, 0x80, 0, 9]))
    assert naive.rows_of(read(tmp_path / "a.bin", (240, 180))) == [(9, 31, 139, 1)]


def test_evt3_vectors_and_time_wraps(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    words, time = [0x8FFE, 0x0005, 0x3000], 0xFFE << 12
    for _ in range(600):
        time += int(rng.integers(0, 200_000))
        words += [0x8000 | time >> 12 & 0xFFF, 0x6000 | time & 0xFFF, int(rng.integers(0, 300))]
        words += [0x3000 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 200))]
        words += [0x4000 | int(rng.integers(0, 4096)), 0x5000 | int(rng.integers(0, 256)), 0xA001, 0x7003]
        words += [0x2000 | int(rng.integers(0, 2)) << 11 | int(rng.integers(0, 300))]
    data = np.array(words, dtype="<u2").tobytes()
    (tmp_path / "a.raw").write_bytes(naive.HEADER_3 + data)
    assert time >> 24 >= 2
    for block in (2, 26, 1 << 18):
        monkeypatch.setattr(base, "BLOCK_BYTES", block)
        recording = open_recording(tmp_path / "a.raw", (304, 300))
        assert naive.rows_of(Events.concatenate(list(recording))) == naive.decode_evt3(data)
        assert recording.report.skipped == {"trigger words": 600, "vendor words": 600}


def test_evt2_time_wraps_after_34_bits(tmp_path):
    rows = [((1 << 34) - 5, 1, 2, 1), ((1 << 34) + 7, 3, 4, 0), ((2 << 34) + 1, 5, 0, 1)]
    middle = ((1 << 34) + (3 << 32), 9, 9, 0)
    (tmp_path / "a.raw").write_bytes(naive.write_evt2([*rows[:2], middle, rows[2]]))
    assert naive.rows_of(read(tmp_path / "a.raw")) == [*rows[:2], middle, rows[2]]


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (naive.HEADER_2 + np.array([0x1000_0801, 0x8000_0001, 0x1000_0801], "<u4").tobytes(), 1),
        (naive.HEADER_3 + np.array([0x2001, 0x8001, 0x2001, 0x0001, 0x4FFF, 0x2001], "<u2").tobytes(), 14),
    ],
)
def test_events_without_time_or_place_are_counted(tmp_path, data, count):
    (tmp_path / "a.raw").write_bytes(data)
    recording = open_recording(tmp_path / "a.raw", (34, 34))
    assert sum(len(chunk) for chunk in recording) == 1
    assert sum(recording.report.skipped.values()) == count
    assert f"{count} events before the first" in " ".join(recording.notes())


@pytest.mark.parametrize(
    "header",
    [
        b"% evt 2.0\n% geometry 50x40\n",
        b"% format EVT2;height=40;width=50\n% end\n",
        b"% camera x\r\n% evt 2.0\r\n% geometry 50x40\r\n% end\r\n",
    ],
)
def test_the_header_gives_the_sensor_size(tmp_path, header):
    (tmp_path / "a.raw").write_bytes(header + naive.write_evt2([(70, 1, 2, 1)])[len(naive.HEADER_2) :])
    recording = open_recording(tmp_path / "a.raw")
    source = recording.source
    assert (source.sensor_size, source.size_origin) == ((50, 40), "file")
    assert [naive.rows_of(chunk) for chunk in recording] == [[(70, 1, 2, 1)]]


def test_a_structured_array_is_a_recording():
    events = naive.make_events(np.random.default_rng(0), 70_000, (300, 200), span=100_000)
    recording = open_recording(events.to_array())
    assert naive.rows_of(Events.concatenate(list(recording))) == naive.rows_of(events)
    source = recording.source
    assert (source.format, source.sensor_size, source.size_origin) == ("array", (304, 240), "inferred")
    # Two parts, and the last millisecond, which was held back for events that might still come before it.
    assert len(list(recording)) == 3


def test_polarity_minus_one_is_off():
    array = np.array([(1, 2, 3, -1), (1, 2, 4, 1)], dtype=[("x", "i8"), ("y", "i4"), ("t", "i4"), ("p", "i1")])
    assert naive.rows_of(Events.concatenate(list(open_recording(array)))) == [(3, 1, 2, 0), (4, 1, 2, 1)]
