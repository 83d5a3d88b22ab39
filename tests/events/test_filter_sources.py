"""Filters before all that gives events: arrays, files, chunks, live sources, streams; what is wrong stays so."""

import subprocess
import sys
import time

import numpy as np
import pytest

from nirbridge.errors import FileError, InputError
from nirbridge_events import (
    BackgroundFilter,
    Events,
    FrameEncoder,
    HotPixelFilter,
    PolarityFilter,
    RateFilter,
    RefractoryFilter,
    RoiFilter,
    Stream,
    encode,
    filtered,
    open_recording,
    write_nmnist,
)
from nirbridge_events.filters.loops import Loop
from tests.events import naive
from tests.events import naive_filters as slow
from tests.events.test_live_udp import listening, packets
from tests.events.test_streaming import SumProgram

SENSOR = (34, 34)
FILTERS = [RoiFilter((2, 3, 20, 31)), RefractoryFilter(20_000)]


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    """What is compiled is judged by test_filters; here nothing waits for it."""
    monkeypatch.setattr(Loop, "_ready", lambda self, events: None)


@pytest.fixture
def events():
    return naive.make_events(np.random.default_rng(0), 3000, SENSOR, span=95_000, start=100)


def kept_rows(events):
    return slow.refractory(slow.roi(naive.rows_of(events), (2, 3, 20, 31)), 20_000)


def read(source):
    return naive.rows_of(Events.concatenate(list(source)))


def test_every_source_takes_filters(events, tmp_path):
    wanted = kept_rows(events)
    write_nmnist(tmp_path / "a.bin", events)
    recording = open_recording(tmp_path / "a.bin", filters=FILTERS)
    assert read(recording) == read(recording) == wanted  # each pass begins anew
    assert read(filtered(open_recording(events, SENSOR), FILTERS)) == wanted
    assert read(filtered(open_recording(events, SENSOR, filters=FILTERS[:1]), FILTERS[1:])) == wanted
    assert read(filtered(events.to_array(), FILTERS, SENSOR)) == wanted
    chunks = filtered([events[:700], events[700:].to_array()], FILTERS, SENSOR)
    assert read(chunks) == read(chunks) == wanted
    assert [one.removed for one in chunks.reports] == [one.removed for one in recording.report.filters]
    assert read(recording.read(from_event=100)) == wanted[100:]
    with pytest.raises(InputError, match=r"\(9, 9\) is not the sensor of array of events, \(34, 34\)"):
        filtered(open_recording(events, SENSOR), FILTERS, (9, 9))


def test_the_report_counts_what_each_filter_took_out(events):
    recording = open_recording(events, SENSOR, filters=FILTERS)
    assert recording.notes() == []
    rows = read(recording)
    inside = len(slow.roi(naive.rows_of(events), (2, 3, 20, 31)))
    report = recording.report
    assert report.events == len(rows) == 3000 - sum(one.removed for one in report.filters)
    assert report.lines() == [
        f"filter roi=2,3,20x31: {3000 - inside} of 3000 events were taken out ({(3000 - inside) / 30:.1f} %)",
        f"filter refractory=20ms: {inside - len(rows)} of {inside} events were taken out "
        f"({100 * (inside - len(rows)) / inside:.1f} %)",
    ]
    assert report.losses() == []
    assert [one["filter"] for one in report.to_dict()["filters"]] == ["roi=2,3,20x31", "refractory=20ms"]


def test_frames_are_those_of_what_passes(events):
    kept = naive.events_of(kept_rows(events))
    wanted = encode(kept, SENSOR, 10_000, "count")
    np.testing.assert_array_equal(encode(filtered(events, FILTERS, SENSOR), window=10_000, coding="count"), wanted)
    encoder = FrameEncoder(SENSOR, 10_000, "count")
    frames = [window.frames for window in encoder.encode(filtered([events], FILTERS, SENSOR))]
    np.testing.assert_array_equal(np.concatenate(frames), wanted)
    assert encoder.report.events == len(kept)


def test_a_stream_decides_on_what_passes(events):
    kept, program = naive.events_of(kept_rows(events)), SumProgram()
    recording = open_recording(events, SENSOR, filters=FILTERS)
    with Stream(recording, program, FrameEncoder(SENSOR, 10_000, "count"), warm_up=False) as stream:
        assert len(list(stream)) == 10
    np.testing.assert_array_equal(np.stack(program.frames), encode(kept, SENSOR, 10_000, "count"))
    assert stream.summary.events == len(kept)
    counts = stream.summary.to_dict()["source"]["filters"]
    assert counts[0]["events"] == 3000
    assert counts[1]["events"] - counts[1]["removed"] == len(kept)


def test_chunks_that_are_filtered_out_are_no_silence():
    """A stream takes an empty chunk for a silent source, whose windows end by the wall, before what follows."""
    on = [naive.events_of([(t, 1, 1, 1)]) for t in range(0, 60_000, 2000)]
    off = [naive.events_of([(t + 1000, 1, 1, 0)]) for t in range(0, 60_000, 2000)]
    chunks = [on[0][:0], *(chunk for pair in zip(on, off, strict=True) for chunk in pair)]
    source = filtered(chunks, [PolarityFilter("on"), HotPixelFilter(learn=5000)], SENSOR)
    lengths = [len(chunk) for chunk in source]
    assert (lengths[0], min(lengths[1:]), sum(lengths)) == (0, 1, 30)
    program = SumProgram(lambda step: time.sleep(0.05))
    stream = Stream(source, program, FrameEncoder(SENSOR, 10_000, "count"), queue_size=1, grace=0, warm_up=False)
    assert [(decision.window, decision.events) for decision in stream] == [(i, 5) for i in range(6)]


def test_a_live_source_takes_filters(events):
    filters = [HotPixelFilter(learn=10_000), *FILTERS]
    with listening(sensor_size=SENSOR, filters=filters) as (recording, sender):
        for packet in packets(naive.rows_of(events)):
            sender.send(packet)
        rows = read(chunk for chunk in recording if len(chunk))
    first, *others = recording.report.filters
    assert (first.events, first.held) == (3000, 0)
    assert "which passed as they came" in first.notes[0]
    assert rows == kept_rows(events)  # random events have no hot pixel
    assert sum(one.removed for one in others) == 3000 - len(rows)


@pytest.mark.parametrize(
    ("place", "values", "found"),
    [
        ("t", 50, r"event 2500: time 50 µs after \d+ µs goes back"),
        ("x", 40, r"event 2500: \(40, \d+\) is outside the sensor of 34x34 pixels"),
        ("p", 2, "event 2500: polarity 2 is neither 0 nor 1"),
    ],
)
def test_chunks_fail_as_they_do_without_filters(events, place, values, found):
    getattr(events, place)[2500] = values
    chunks = [events[:1000], events[1000:]]
    filters = [RoiFilter((0, 0, 1, 1)), PolarityFilter("on"), HotPixelFilter()]
    with pytest.raises(InputError, match=found) as plain:
        list(FrameEncoder(SENSOR, 100_000, "count").encode(chunks))
    with pytest.raises(InputError) as behind:
        list(filtered(chunks, filters, SENSOR))
    assert str(behind.value) == str(plain.value)


def test_recordings_fail_as_they_do_without_filters(events):
    events.t[2500], events.x[2700] = 50, 40
    for filters in ([], [RoiFilter((0, 0, 30, 30)), HotPixelFilter()]):
        with pytest.raises(InputError, match="event 2500 has time 50 µs"):
            list(open_recording(events, SENSOR, filters=filters))
    recording = open_recording(events, SENSOR, filters=FILTERS, bad_events="skip")
    read(recording)
    assert (recording.report.late_events, recording.report.outside_events) == (1, 1)
    assert recording.report.filters[0].events == 2998


def test_what_was_held_back_comes_before_the_error(events):
    events.t[2500] = 50
    recording = open_recording(events, SENSOR, filters=[HotPixelFilter()])
    chunks = filtered([events[:2000], events[2000:]], [HotPixelFilter()], SENSOR)
    for source, good in ((recording, 2500), (chunks, 2000)):
        found = []
        with pytest.raises(InputError, match="event 2500"):
            found.extend(source)
        assert read(found) == naive.rows_of(events[:good])


def test_a_recording_of_which_nothing_passes_says_so(tmp_path, events):
    write_nmnist(tmp_path / "a.bin", events)
    recording = open_recording(
        tmp_path / "a.bin", filters=[RateFilter(1000), BackgroundFilter(1), RoiFilter((0, 0, 1, 1))]
    )
    found = (
        r"none of 3000 events passes the filters: rate=1000 took out \d+, background=1us took out \d+, roi=0,0,1x1 took"
    )
    with pytest.raises(FileError, match=found):
        list(recording)
    assert read(filtered([events], [RoiFilter((0, 0, 1, 1)), PolarityFilter("on"), RateFilter(1)], SENSOR)) != []


@pytest.mark.parametrize("polarity", ["keep", "merge", "signed"])
def test_a_polarity_of_2_is_an_error_in_every_mode(polarity, events):
    events.p[1234] = 2
    for source in (events, [events], iter([events[:1000], events[1000:]])):
        with pytest.raises(InputError, match="event 1234: polarity 2 is neither 0 nor 1"):
            encode(source, SENSOR, 10_000, "count", polarity=polarity)
    with pytest.raises(InputError, match="polarity 2 is neither 0 nor 1"):
        list(filtered(events, [RoiFilter((0, 0, 1, 1))], SENSOR))


def test_filters_work_without_numba_and_load_it_late():
    code = (
        "import sys, numpy as np; from nirbridge_events import *; from nirbridge_events.filters import loops\n"
        "loops.WORTH_LOADING = 2000; events = as_events(np.zeros(1000, EVENT_DTYPE))\n"
        "chain = FilterChain([RateFilter(9)], (2, 2))\n"
        "for _ in range(2): chain.apply(events); print('numba' in sys.modules)\n"
        "print(chain.reports[0].removed)"
    )
    pytest.importorskip("numba")
    for begin, wanted in (("", ["False", "True"]), ("import sys; sys.modules['numba'] = None\n", ["True", "True"])):
        out = subprocess.run([sys.executable, "-c", begin + code], capture_output=True, text=True, check=True).stdout
        assert out.split() == [*wanted, "1999"]
