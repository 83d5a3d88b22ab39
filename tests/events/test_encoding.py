"""Frames against slow, literal encoders; incremental against batch for any split."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.errors import InputError
from nirbridge_events import Events, FrameEncoder, encode, encode_equal_count, open_recording, windows
from nirbridge_events.quantise import Quantiser, nearest_power, quantise
from tests.events import naive

SENSOR = (7, 5)
CASES = [
    {"coding": "binary"},
    {"coding": "binary", "size": (3, 2), "downsample": "sum", "polarity": "merge"},
    {"coding": "count"},
    {"coding": "count", "subframes": 3, "polarity": "merge"},
    {"coding": "count", "size": (3, 2)},
    {"coding": "count", "size": (3, 5), "downsample": "max", "subframes": 2},
    {"coding": "count", "size": (4, 3), "downsample": "or", "subframes": 5},
    {"coding": "one-hot", "lanes": 3},
    {"coding": "one-hot", "lanes": 1},
    {"coding": "one-hot", "lanes": 4, "size": (2, 2), "polarity": "merge"},
    {"coding": "one-hot", "lanes": 2, "subframes": 7},
    {"coding": "one-hot", "lanes": 9, "subframes": 300},
    {"coding": "phase", "phases": 3},
    {"coding": "phase", "phases": 2, "size": (3, 2), "downsample": "max", "polarity": "merge"},
    {"coding": "voxel", "bins": 3},
    {"coding": "voxel", "bins": 2, "size": (2, 2), "polarity": "signed"},
    {"coding": "binary", "polarity": "signed"},
    {"coding": "count", "polarity": "signed", "size": (3, 5)},
    {"coding": "count", "crop": (2, 1, 4, 3)},
    {"coding": "one-hot", "lanes": 3, "crop": (1, 0, 5, 5), "size": (2, 2)},
    {"coding": "time-surface", "tau": 120},
    {"coding": "time-surface", "tau": 30, "size": (3, 2), "polarity": "merge"},
    {"coding": "time-surface", "tau": 700, "downsample": "max", "size": (2, 2), "polarity": "signed"},
    {"coding": "time-surface", "tau": 1, "crop": (2, 1, 4, 3)},
]
ROUNDED = ("voxel", "time-surface")
"""Codings whose values are rounded to float32."""


def expected(events, window, start=None, **options):
    """Frames by the equations, whatever the options: crop first, then each polarity, then their difference."""
    rows, sensor = naive.rows_of(events), SENSOR
    start = rows[0][0] if rows and start is None else start
    if crop := options.get("crop"):
        rows, sensor = naive.crop_rows(rows, crop), crop[2:]
    coding, lanes = options["coding"], options.get("lanes", 3)
    size, polarity = options.get("size", sensor), options.get("polarity", "keep")
    polarities = 1 if polarity == "merge" else 2
    merged = "or" if coding in ("binary", "one-hot") else "sum"
    how = {"size": size, "downsample": options.get("downsample") or merged, "polarities": polarities, "start": start}
    if coding == "voxel":
        frames = naive.voxel_frames(rows, sensor, window, options["bins"], size, polarities, start)
    elif coding == "time-surface":
        frames = naive.surface_frames(rows, sensor, window, options["tau"], size, polarities, start)
    elif coding == "phase":
        counts = naive.encode_events(rows, sensor, window, "count", lanes=0, subframes=1, **how)
        frames = naive.phase_frames(counts, options["phases"])
    else:
        subframes = options.get("subframes") or (2 ** (lanes - 1) if coding == "one-hot" else 1)
        frames = naive.encode_events(rows, sensor, window, coding, lanes, subframes, **how)
    return frames[:, 1:] - frames[:, :1] if polarity == "signed" else frames


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("window", [40, 97])
def test_frames_equal_the_equations(options, window):
    events = naive.make_events(np.random.default_rng(window), 900, SENSOR, span=1000, start=123_456)
    frames = encode(events, SENSOR, window, **options)
    wanted = expected(events, window, **options)
    compare = np.testing.assert_allclose if options["coding"] in ROUNDED else np.testing.assert_array_equal
    compare(frames, wanted, **({"rtol": 1e-6, "atol": 1e-6} if options["coding"] in ROUNDED else {}))
    assert frames.dtype == np.float32
    assert frames.max() > 0


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("expected_windows", [1, 8])
def test_frames_in_memory_of_the_system_are_the_same(options, expected_windows, monkeypatch):
    """Which is not cleared: as many windows as expected or more, each of several chunks, some without events."""
    events = naive.make_events(np.random.default_rng(3), 60, SENSOR, span=1000)
    chunks = [events[at : at + 7] for at in range(0, 60, 7)]
    wanted = encode(events, SENSOR, 40, **options)
    monkeypatch.setattr(windows, "LARGE", 0)
    frames = FrameEncoder(SENSOR, 40, **options).encode_all(chunks, expected_windows)
    np.testing.assert_array_equal(frames, wanted)


def test_a_place_that_was_given_before_is_cleared(monkeypatch):
    monkeypatch.setattr(windows, "LARGE", 0)
    collected = windows.Collected((1, 2, 3, 3), 2)
    for _ in range(4):
        collected.zeros().fill(7)
        frames = collected.zeros()
        assert not frames.any()
        frames.fill(1)
        collected.keep(frames)
    assert (collected.frames == 1).all()


def test_frames_beyond_all_memory_are_said_as_such(monkeypatch):
    def none(*_arguments, **_options):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(windows.mmap, "mmap", none)
    with pytest.raises(MemoryError, match="4.0 GiB of frames"):
        windows.Collected((1, 1, 1 << 15, 1 << 15), 1)


@st.composite
def streams(draw):
    gaps = draw(st.lists(st.integers(0, 60), min_size=0, max_size=60))
    t = np.cumsum([draw(st.integers(0, 10**12)), *gaps]) if gaps else np.zeros(0, int)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    events = naive.make_events(rng, len(t), SENSOR)
    cuts = sorted(draw(st.lists(st.integers(0, len(t)), max_size=8)))
    return Events(events.x, events.y, t.astype(np.int64), events.p), [0, *cuts, len(t)]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(streams(), st.sampled_from(CASES), st.integers(1, 50))
def test_incremental_equals_batch_for_any_split(stream, options, window):
    events, cuts = stream
    encoder = FrameEncoder(SENSOR, window, **options)
    parts = [encoder.push(events[a:b]) for a, b in pairwise(cuts)]
    frames = np.concatenate([*parts, encoder.finish()])
    np.testing.assert_array_equal(frames, encode(events, SENSOR, window, **options))
    wanted = expected(events, window, **options)
    # With a crop the grid ends with the last event inside it.
    assert len(frames) == len(wanted)
    np.testing.assert_allclose(frames, wanted, rtol=0, atol=1e-6 if options["coding"] in ROUNDED else 0)
    assert encoder.report.events == len(events)
    assert encoder.report.windows * encoder.frames_per_window == len(frames)
    assert encoder.report.pending_events == 0


def test_the_report_counts_every_event():
    events = naive.make_events(np.random.default_rng(1), 500, (12, 5), span=1000)
    encoder = FrameEncoder(SENSOR, 100, coding="count", start=250, outside="count")
    windows = list(encoder.encode([events[:200], events[200:]]))
    report = encoder.report
    late = events.t >= 250
    outside = late & (events.x >= 7)
    assert report.before_start == int((~late).sum())
    assert report.outside == int(outside.sum()) > 0
    assert sum(window.events for window in windows) + report.outside + report.before_start == report.events == 500
    assert sum(window.frame.sum() for window in windows) == int((late & ~outside).sum())
    assert [(w.index, w.t_start, w.t_end) for w in windows] == [(i, 250 + 100 * i, 350 + 100 * i) for i in range(8)]
    assert report.partial_events == windows[-1].events == int((late & ~outside & (events.t >= 950)).sum())


def test_the_last_window_waits_for_finish_and_is_emitted_once():
    encoder = FrameEncoder(SENSOR, 10)
    assert encoder.push(naive.events_of([(5, 0, 0, 1), (14, 1, 1, 0)])).shape == (0, 2, 5, 7)
    assert encoder.push(naive.events_of([(15, 2, 2, 0)])).shape == (1, 2, 5, 7)
    last = encoder.finish()
    assert np.argwhere(last).tolist() == [[0, 0, 2, 2]]
    assert encoder.report.partial_events == 1
    assert encoder.finish().shape == (0, 2, 5, 7)
    with pytest.raises(InputError, match="after finish"):
        encoder.push(naive.events_of([(20, 0, 0, 1)]))


def test_empty_windows_in_the_middle_and_before_are_zero_frames():
    events = naive.events_of([(100, 0, 0, 1), (145, 1, 1, 1)])
    encoder = FrameEncoder(SENSOR, 10, start=70)
    frames = np.concatenate([encoder.push(events), encoder.finish()])
    assert frames.reshape(len(frames), -1).sum(axis=1).tolist() == [0, 0, 0, 1, 0, 0, 0, 1]
    assert encoder.report.empty_windows == 6


def test_no_events_give_no_frames():
    assert encode(naive.events_of([])).shape == (0, 2, 260, 346)
    assert encode([], (34, 34), size=(17, 17)).shape == (0, 2, 17, 17)


def test_a_gap_without_end_is_refused_before_it_fills_the_memory():
    events = naive.events_of([(0, 0, 0, 1), (1 << 50, 1, 1, 1)])
    with pytest.raises(InputError, match=r"112589989 windows of 10000000 µs without any event, at most 10000 may be"):
        encode(events, SENSOR, 10_000_000)
    assert len(encode(naive.events_of([(0, 0, 0, 1), (95, 1, 1, 1)]), SENSOR, 10, max_gap=8)) == 10
    with pytest.raises(InputError, match="8 windows"):
        encode(naive.events_of([(0, 0, 0, 1), (95, 1, 1, 1)]), SENSOR, 10, max_gap=7)


def test_quantiser_follows_the_table():
    table = {0: 0, 1: 1, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 8: 8, 11: 8, 12: 16, 22: 16, 23: 32}
    assert quantise(np.array(list(table)), 6).tolist() == list(table.values())
    counts = np.arange(5000)
    assert quantise(counts, 4).tolist() == [naive.one_hot_value(c, 4) for c in range(5000)]
    assert nearest_power(counts).tolist() == [naive.one_hot_value(c, 40) for c in range(5000)]
    for largest, lanes in ((8, 4), (255, 9), (255, 8), (300, 4)):
        counts = np.arange(largest + 1)
        quantiser = Quantiser(largest, lanes)
        np.testing.assert_array_equal(quantiser.values(counts.astype(quantiser.dtype)), quantise(counts, lanes))
        assert quantiser.count_cut(counts) == int((nearest_power(counts) > 2 ** (lanes - 1)).sum())


def test_saturation_is_counted():
    events = naive.events_of([(t, 1, 1, 1) for t in range(8)] + [(7, 2, 2, 1)])
    encoder = FrameEncoder(SENSOR, 8, coding="one-hot", lanes=2, subframes=8)
    frame = next(iter(encoder.encode([events]))).frame
    assert (frame[1, 1, 1], frame[1, 2, 2]) == (2, 1)
    assert encoder.report.saturated == 1


def test_counts_beyond_the_phases_are_cut_and_counted():
    events = naive.events_of([(t, 1, 1, 1) for t in range(9)] + [(9, 2, 2, 1)])
    encoder = FrameEncoder(SENSOR, 10, "phase", phases=3)
    (window,) = encoder.encode([events])
    assert window.frames[:, 1, 1, 1].tolist() == [1, 1, 1]
    assert window.frames[:, 1, 2, 2].tolist() == [0, 0, 1]
    assert encoder.report.saturated == 1
    with pytest.raises(InputError, match="window: has 3 frames, not one"):
        _ = window.frame


def test_events_outside_the_crop_are_counted_and_do_not_move_the_grid():
    encoder = FrameEncoder(SENSOR, 10, "count", crop=(2, 1, 3, 3))
    windows = list(encoder.encode([naive.events_of([(0, 0, 0, 1), (25, 2, 1, 1), (26, 4, 3, 0), (27, 5, 3, 0)])]))
    assert [(w.index, w.t_start, w.events) for w in windows] == [(0, 0, 0), (1, 10, 0), (2, 20, 2)]
    assert np.argwhere(windows[2].frame).tolist() == [[0, 2, 2], [1, 0, 0]]
    report = encoder.report
    assert (report.events, report.cropped, report.pending_events) == (4, 2, 0)


def test_a_silent_source_can_close_windows_and_late_events_are_counted():
    encoder = FrameEncoder(SENSOR, 10, "count", late="count", max_gap=0)
    assert not list(encoder.windows_until(1000))
    assert not list(encoder.windows(naive.events_of([(3, 0, 0, 1)])))
    assert not list(encoder.windows_until(12))
    assert [(w.index, w.events) for w in encoder.windows_until(35)] == [(0, 1), (1, 0), (2, 0)]
    assert not list(encoder.windows_until(20))
    assert not list(encoder.windows(naive.events_of([(30, 0, 0, 1), (32, 1, 1, 1), (34, 2, 2, 1)])))
    (last,) = encoder.finish_windows()
    assert (last.index, last.t_start, last.events, last.frame.sum()) == (3, 33, 1, 1)
    assert (encoder.report.late, encoder.report.events, encoder.report.pending_events) == (2, 4, 0)
    strict = FrameEncoder(SENSOR, 10, start=0)
    assert len(list(strict.windows_until(20))) == 2
    with pytest.raises(InputError, match="event 0: time 19 µs is of a window that ended at 20 µs without it"):
        strict.push(naive.events_of([(19, 0, 0, 1)]))


def test_from_node_maps_every_field():
    class Node:
        shape = (np.int64(1), np.int64(3), np.int64(4))
        sensor_size = np.array([7, 5])
        window, subframes, lanes, coding, downsample = 50, 6, 3, "one-hot", "max"

    encoder = FrameEncoder.from_node(Node())
    events = naive.make_events(np.random.default_rng(2), 400, SENSOR)
    frames = np.concatenate([encoder.push(events), encoder.finish()])
    options = {"coding": "one-hot", "lanes": 3, "subframes": 6, "size": (4, 3), "polarity": "merge"}
    np.testing.assert_array_equal(frames, expected(events, 50, **options))
    assert encoder.frame_shape == (1, 3, 4)


def test_from_node_takes_the_primitive_of_the_graph():
    from nirbridge.ir import EventInput

    node = EventInput((2, 5, 7), SENSOR, 40, 4, 3, "one-hot", "or")
    events = naive.make_events(np.random.default_rng(2), 400, SENSOR)
    frames = np.stack([window.frame for window in FrameEncoder.from_node(node).encode([events])])
    np.testing.assert_array_equal(frames, encode(events, SENSOR, 40, "one-hot", lanes=3))


def test_encode_takes_arrays_chunks_and_recordings():
    events = naive.make_events(np.random.default_rng(0), 300, (34, 34))
    frames = encode(events, (34, 34), 100)
    for source in (events.to_array(), [events[:10].to_array(), events[10:]], iter([events])):
        np.testing.assert_array_equal(encode(source, (34, 34), 100), frames)
    recording = open_recording(events, (34, 34))
    np.testing.assert_array_equal(encode(recording, window=100), frames)
    with pytest.raises(InputError, match=r"sensor of \(34, 34\) pixels, the encoder expects \(64, 64\)"):
        encode(recording, (64, 64), 100)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"window": 0}, "window: 0 is not a whole number"),
        ({"window": 1.5}, "window: 1.5"),
        ({"coding": "rate"}, "coding: 'rate' is unknown; known are binary, count, one-hot, phase, voxel, time-surface"),
        ({"coding": "one-hot", "lanes": 17}, "lanes: 17"),
        ({"coding": "count", "lanes": 3}, "lanes: goes with coding 'one-hot', not with 'count'"),
        ({"coding": "one-hot", "phases": 8}, "phases: goes with coding 'phase', not with 'one-hot'"),
        ({"bins": 5}, "bins: goes with coding 'voxel', not with 'binary'"),
        ({"tau": 5}, "tau: goes with coding 'time-surface', not with 'binary'"),
        ({"coding": "time-surface", "tau": 0}, "tau: 0 is not a whole number"),
        ({"coding": "time-surface", "downsample": "sum"}, "'sum' does not go with coding 'time-surface'"),
        ({"coding": "time-surface", "subframes": 2}, "subframes: 2 do not go with coding 'time-surface'"),
        ({"sensor_size": (65536, 65536)}, "sensor_size: 65536x65536 pixels make 8589934592 values a window"),
        ({"sensor_size": (65536, 65536), "size": (2, 2), "coding": "count", "downsample": "max"}, "values a window"),
        ({"subframes": 0}, "subframes: 0"),
        ({"size": (8, 5)}, "exceed the sensor"),
        ({"size": (0, 5)}, "size"),
        ({"downsample": "mean"}, "downsample"),
        ({"polarity": "sign"}, "polarity: 'sign' is unknown; known are keep, merge, signed"),
        ({"outside": "drop"}, "outside"),
        ({"late": "drop"}, "late"),
        ({"coding": "one-hot", "polarity": "signed"}, "polarity: 'signed' does not go with coding 'one-hot'"),
        ({"coding": "phase", "phases": 25}, "phases: 25 is not a whole number in 1..24"),
        ({"coding": "phase", "subframes": 2}, "subframes: 2 do not go with coding 'phase'"),
        ({"coding": "voxel", "bins": 1}, "bins: 1"),
        ({"coding": "voxel", "downsample": "max"}, "downsample: 'max' does not go with coding 'voxel'"),
        ({"crop": (1, 1, 7, 5)}, "crop: 7x5 pixels from (1, 1) leave the sensor of 7x5"),
        ({"crop": (1, 1, 0, 5)}, "crop: (1, 1, 0, 5) is not (x, y, width, height)"),
        ({"crop": 5}, "crop: 5 is not"),
        ({"crop": (1, 1, 3, 3), "size": (4, 3)}, "size: frames of (4, 3) exceed the crop's (3, 3)"),
        ({"colour": 1}, "colour: is no option of an encoder"),
    ],
)
def test_arguments_out_of_range(options, found):
    with pytest.raises(InputError) as error:
        FrameEncoder(**{"sensor_size": SENSOR, **options})
    assert found in str(error.value)


def test_bad_events_are_named():
    encoder = FrameEncoder(SENSOR, 10)
    encoder.push(naive.events_of([(5, 0, 0, 1)]))
    with pytest.raises(InputError, match="event 1: time 4 µs after 5 µs goes back"):
        encoder.push(naive.events_of([(4, 0, 0, 1)]))
    with pytest.raises(InputError, match=r"event 2: \(7, 0\) is outside the sensor of 7x5 pixels"):
        encoder.push(naive.events_of([(6, 0, 0, 1), (7, 7, 0, 1)]))
    with pytest.raises(InputError, match="int without fields"):
        encode(5)


@pytest.mark.parametrize(("pooled", "lanes", "steps"), [(80, 4, 10), (40, 4, 5), (40, 3, 10), (20, 4, 3), (10, 3, 3)])
@pytest.mark.parametrize("count", [80, 1234])
def test_equal_count_frames_equal_the_protocol_step_by_step(pooled, lanes, steps, count):
    events = naive.make_events(np.random.default_rng(count), count, SENSOR)
    binary = np.zeros((80, 2, 3, 4), dtype=int)
    for i, (_, x, y, p) in enumerate(naive.rows_of(events)):
        binary[min(i // (count // 80), 79), p, y * 3 // 5, x * 4 // 7] = 1
    k = 2 ** (lanes - 1)
    frames = np.zeros((steps, 2, 3, 4))
    for step in range(steps):
        for j in range(step * k, min((step + 1) * k, pooled)):
            frames[step] += binary[j * 80 // pooled : (j + 1) * 80 // pooled].max(axis=0)
    wanted = np.vectorize(lambda c: naive.one_hot_value(int(c), lanes))(frames)
    ours = encode_equal_count(events, pooled, sensor_size=SENSOR, lanes=lanes, size=(4, 3))
    np.testing.assert_array_equal(ours, wanted)
    assert ours.shape == (steps, 2, 3, 4)
    assert ours.dtype == np.float32


@pytest.mark.parametrize(
    ("count", "pooled", "options", "found"),
    [
        (100, 30, {}, "30 does not divide 80"),
        (79, 40, {}, "79 are fewer than 80 splits"),
        (100, 40, {"window": 5}, "window: is no option"),
    ],
)
def test_equal_count_refuses(count, pooled, options, found):
    with pytest.raises(InputError, match=found):
        encode_equal_count(naive.make_events(np.random.default_rng(0), count), pooled, **options)


def test_counts_equal_tonic_where_tonic_loses_none():
    transforms = pytest.importorskip("tonic.transforms")
    events = naive.make_events(np.random.default_rng(0), 5000, (34, 34), span=100_000)
    array = np.zeros(len(events), dtype=[("x", "i2"), ("y", "i2"), ("t", "i8"), ("p", "i2")])
    for name in "xytp":
        array[name] = getattr(events, name)
    theirs = transforms.ToFrame(sensor_size=(34, 34, 2), time_window=10_000)(array)
    ours = encode(events, (34, 34), 10_000, "count")
    assert len(theirs) == 9
    np.testing.assert_array_equal(ours[:9], theirs)
    assert ours.sum() == 5000
