"""What ``info`` finds in a recording, against counts made event by event."""

import tracemalloc

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import Events, RecordingInfo, info, write_es, write_nmnist
from nirbridge_events.hot_pixels import find_hot_pixels
from nirbridge_events.rates import BIN, Rates
from nirbridge_events.readers.wanted import SeveralCamerasError
from nirbridge_events.recording_info import MOST_PIXELS
from tests.events import naive
from tests.events import naive_formats as formats

HOT = (20, 7)


def made(count=3000, span=95_000, hot=200, start=4000):
    """Random events of a sensor of 34x34, and those of one hot pixel."""
    rng = np.random.default_rng(1)
    rows = naive.rows_of(naive.make_events(rng, count, (34, 34), span=span, start=start))
    rows += [(int(t), *HOT, 1) for t in rng.integers(start, start + span, hot)]
    return sorted(rows)


def naive_peak(rows, bin_us):
    counts = {}
    for t, *_ in rows:
        number = (t - rows[0][0]) // bin_us
        counts[number] = counts.get(number, 0) + 1
    return max(counts.values())


def rates_of(rows, size):
    rates = Rates()
    events = naive.events_of(rows)
    for start in range(0, len(events), size):
        rates.add(events[start : start + size])
    return rates


def test_all_that_a_file_says(tmp_path):
    rows = made()
    write_nmnist(tmp_path / "a.bin", naive.events_of(rows))
    found = info(tmp_path / "a.bin")
    assert isinstance(found, RecordingInfo)
    assert (found.format, found.bytes, found.sensor_size, found.sensor_from) == ("nmnist", 16_000, (34, 34), "format")
    assert (found.events, found.first_us, found.last_us) == (3200, rows[0][0], rows[-1][0])
    assert found.duration == (rows[-1][0] - rows[0][0]) / 1e6
    assert found.mean_rate == pytest.approx(3200 / found.duration)
    assert found.peak_rate == pytest.approx(naive_peak(rows, BIN) / 0.01)
    assert found.on_share == pytest.approx(sum(p for *_, p in rows) / 3200)
    assert [(pixel.x, pixel.y) for pixel in found.hot_pixels] == [HOT]
    assert found.hot_pixels[0].events == sum((x, y) == HOT for _, x, y, _ in rows)
    assert found.active_pixels == len({(x, y) for _, x, y, _ in rows})
    assert (found.bad_events, found.problem, found.cameras, found.notes) == (0, None, {}, ())


def test_plain_data_have_no_objects(tmp_path):
    write_nmnist(tmp_path / "a.bin", naive.events_of(made()))
    data = info(tmp_path / "a.bin").to_dict()
    assert data["hot_pixels"][0].keys() == {"x", "y", "events"}
    assert data["sensor_size"] == [34, 34]
    assert data["on_share"] + data["off_share"] == pytest.approx(1)
    assert data["reading"]["events"] == 3200
    assert data["problem"] is None


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_rates_do_not_depend_on_chunks(size):
    rows = made(span=700_000)
    rates = rates_of(rows, size)
    assert rates.peak == pytest.approx(naive_peak(rows, BIN) / 0.01)
    begins, course = rates.course(50)
    assert course.sum() * begins[1] == pytest.approx(len(rows))
    edges = [*begins, np.inf]
    for i in (0, 3, len(begins) - 1):
        inside = [p for t, _, _, p in rows if edges[i] <= (t - rows[0][0]) / 1e6 < edges[i + 1]]
        np.testing.assert_allclose(course[:, i] * begins[1], [inside.count(0), inside.count(1)])


def test_what_is_shorter_than_a_bin_has_its_mean_as_peak():
    rates = rates_of([(0, 1, 1, 1), (1000, 1, 1, 1), (2000, 1, 1, 0)], 2)
    assert rates.peak == rates.mean == 1500
    assert rates_of([(5, 1, 1, 1)], 1).mean is None


def test_a_leap_of_time_takes_no_memory():
    rates = rates_of([(0, 1, 1, 1), (10, 1, 1, 1), (1 << 60, 1, 1, 0)], 2)
    tracemalloc.start()
    begins, course = rates.course(400)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 20
    assert 2 <= len(begins) <= 400
    assert (course[1, 0], course[0, -1]) == (2 / begins[1], 1 / begins[1])


def test_memory_does_not_grow_with_the_recording(tmp_path):
    rng = np.random.default_rng(2)
    peaks = []
    for name, count in (("short", 300_000), ("long", 900_000)):
        write_es(tmp_path / name, naive.make_events(rng, count, (34, 34), span=3_000_000), (34, 34))
        tracemalloc.start()
        info(tmp_path / name)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 10_000_000


def test_hot_pixels_stand_out_of_their_neighbours_not_of_edges():
    counts = np.random.default_rng(3).poisson(2, (40, 50))
    counts[:, 19:22] += 60  # an edge that moved along a column
    counts[10, 5], counts[0, 0], counts[30, 40:42] = 60, 60, 80
    found = {(int(x), int(y)) for y, x in zip(*np.nonzero(find_hot_pixels(counts)), strict=True)}
    assert {(5, 10), (0, 0), (40, 30), (41, 30)} <= found
    assert not any(19 <= x < 22 for x, _ in found)
    assert not find_hot_pixels(np.zeros((4, 5), dtype=int)).any()


def test_bad_events_are_counted(tmp_path):
    rows = made()
    rows[100] = (rows[100][0], 200, 3, 1)
    rows[2000] = (rows[0][0], 3, 3, 1)
    (tmp_path / "a.csv").write_bytes(formats.write_csv(rows) + b"hello\n1,2,3,4\n")
    found = info(tmp_path / "a.csv", (34, 34))
    assert (found.events, found.bad_events) == (3198, 4)
    assert (found.reading.outside_events, found.reading.late_events) == (1, 1)
    assert any("outside the sensor" in note for note in found.notes)


def test_a_damaged_file_is_described_as_far_as_it_goes(tmp_path):
    rows = made(20_000)
    data = formats.write_aedat4(rows, size=400)
    at = data.rindex(b"EVTS")
    (tmp_path / "a.aedat4").write_bytes(data[: at + 40] + bytes(60) + data[at + 100 :])
    found = info(tmp_path / "a.aedat4")
    assert 0 < found.events < len(rows)
    assert "is damaged" in str(found.problem)
    assert found.to_dict()["problem"] == str(found.problem)
    (tmp_path / "b.aedat4").write_bytes(data[:5000].replace(b"EVTS", b"EVTX"))
    with pytest.raises(FileError):
        info(tmp_path / "b.aedat4")


def test_cameras_are_listed(tmp_path):
    nodes = "".join(
        f'<node name="{i}"><attr key="typeIdentifier">EVTS</attr><node name="info"><attr key="source">{name}</attr>'
        '<attr key="sizeX">34</attr><attr key="sizeY">34</attr></node></node>'
        for i, name in enumerate(("L", "R"))
    )
    text = f'<dv><node name="outInfo">{nodes}</node></dv>'.encode()
    packets = (formats.aedat4_packet(i, formats.aedat4_events([(5 * i, 1, 1, 1)])) for i in range(2))
    (tmp_path / "two.aedat4").write_bytes(formats.aedat4_header(text=text) + b"".join(packets))
    with pytest.raises(SeveralCamerasError) as caught:
        info(tmp_path / "two.aedat4")
    assert caught.value.cameras == {"0": "L", "1": "R"}
    found = info(tmp_path / "two.aedat4", camera="R")
    assert (found.cameras, found.camera, found.first_us, found.mean_rate) == ({"0": "L", "1": "R"}, "R", 5, None)


@pytest.mark.parametrize("source", ["udp://127.0.0.1:3333", "-", "stdin:?format=evt3", "-?size=4x4"])
def test_live_sources_are_refused_before_they_are_opened(source):
    with pytest.raises(InputError, match="is a live source"):
        info(source)


def test_an_array_is_described_too():
    found = info(Events(*(np.array([3], dtype=d) for d in ("u2", "u2", "i8")), np.array([1], "u1")))
    assert (found.format, found.bytes, found.events, found.peak_rate, found.on_share) == ("array", 0, 1, None, 1)


def test_a_sensor_too_large_for_a_map_gets_none(tmp_path):
    write_nmnist(tmp_path / "a.bin", naive.events_of(made()))
    assert MOST_PIXELS < 8192 * 8192
    found = info(tmp_path / "a.bin", (8192, 8192))
    assert (found.hot_pixels, found.active_pixels, found.events) == (None, None, 3200)
