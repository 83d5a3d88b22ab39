"""Where windows begin and end: --start, --end, --per-events, in Python and on the command line, batch and streaming."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from nirbridge.cli import encode as encode_module
from nirbridge.cli import stream as stream_module
from nirbridge.errors import InputError, NirbridgeError
from nirbridge.ir import EventInput
from nirbridge_events import EncoderSettings, Events, FrameEncoder, Stream, encode, open_recording
from tests.events import naive
from tests.events.cameras import camera
from tests.events.test_event_commands import model, plain_model, write_model  # noqa: F401
from tests.events.test_streaming import SumProgram

SENSOR = (8, 6)
SECOND = naive.events_of([(t, 5, 5, 1) for t in range(100_000, 900_001, 10_000)])


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def sums(frames):
    return frames.sum(axis=(1, 2, 3)).tolist()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [20, 20, 20, 20, 1]),
        ({"start": "first"}, [20, 20, 20, 20, 1]),
        ({"start": "zero"}, [10, 20, 20, 20, 11]),
        ({"start": 0}, [10, 20, 20, 20, 11]),
        ({"start": 250_000}, [20, 20, 20, 6]),
        ({"start": -300_000}, [0, 0, 20, 20, 20, 20, 1]),
        ({"start": "zero", "end": 500_000}, [10, 20, 10]),
        ({"start": "zero", "end": 600_001}, [10, 20, 20, 1]),
        ({"end": 500_000}, [20, 20]),
        ({"end": 1_700_000}, [20, 20, 20, 20, 1, 0, 0, 0]),
        ({"start": "zero", "end": 1_300_000}, [10, 20, 20, 20, 11, 0, 0]),
    ],
)
def test_windows_begin_and_end_where_they_are_told_to(options, wanted):
    assert sums(encode(SECOND, SENSOR, 200_000, "count", **options)) == wanted
    encoder = FrameEncoder(SENSOR, 200_000, "count", **options)
    windows = list(encoder.encode(SECOND[at : at + 7] for at in range(0, 81, 7)))
    assert sums(np.concatenate([window.frames for window in windows])) == wanted
    assert [window.index for window in windows] == list(range(len(wanted)))
    begin = {"first": 100_000, "zero": 0}.get(options.get("start", "first"), options.get("start"))
    assert [window.t_start for window in windows] == [begin + 200_000 * i for i in range(len(wanted))]
    t, report = SECOND.t, encoder.report
    assert report.before_start == int((t < begin).sum())
    assert report.after_end == int((t >= options.get("end", 1 << 60)).sum())
    assert report.events == 81 == sum(wanted) + report.before_start + report.after_end
    cut = (options.get("end", 1) - begin) % 200_000
    assert report.partial_events == (wanted[-1] if cut else 0)


@pytest.mark.parametrize("step", [1, 600])
def test_the_last_window_that_int64_holds_comes_to_an_end(step):
    t = np.iinfo(np.int64).max - 700 + step * np.arange(2)
    zeros = np.zeros(2, np.uint16)
    assert encode(Events(zeros, zeros, t, zeros.astype(np.uint8)), SENSOR, 1000, "count").sum() == 2


def test_the_end_is_known_when_it_is_passed_and_ends_a_live_stream():
    encoder = FrameEncoder(SENSOR, 200_000, "count", end=500_000)
    assert sums(encoder.push(SECOND[:39])) == [20]
    assert not encoder.ended
    assert sums(encoder.push(SECOND[39:41])) == [20]
    assert encoder.ended
    assert (sums(encoder.push(SECOND[41:])), sums(encoder.finish())) == ([], [])
    silent = FrameEncoder(SENSOR, 200_000, "count", start="zero", end=500_000)
    silent.push(SECOND[:1])
    assert [window.events for window in silent.windows_until(700_000)] == [1, 0, 0]
    assert silent.ended


@pytest.mark.parametrize("options", [{"crop": (7, 5, 1, 1)}, {"sensor_size": (1, 1), "outside": "count"}])
@pytest.mark.parametrize("chunk", [1, 40, 100])
@pytest.mark.parametrize("last", [30, 81])
def test_windows_go_to_the_end_where_no_event_of_the_crop_or_the_sensor_does(options, chunk, last):
    """Whether an event at the end or after it comes makes no difference."""
    zeros, ones = np.zeros(last, np.uint16), np.ones(last, np.uint16)
    events = Events(ones, zeros, SECOND.t[:last], zeros.astype(np.uint8))
    encoder = FrameEncoder(**{"sensor_size": SENSOR, **options}, window=200_000, coding="count", end=650_000)
    windows = list(encoder.encode(events[at : at + chunk] for at in range(0, last, chunk)))
    assert [(window.t_start, window.events) for window in windows] == [(100_000, 0), (300_000, 0), (500_000, 0)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"start": 900_001}, "none of 81 events lies there: 81 come before, 0 after; .* from 100000 to 900000 µs"),
        ({"end": 100_000}, "none of 81 events lies there: 0 come before, 81 after"),
        ({"start": "zero", "end": 50_000}, "none of 81 events lies there"),
        ({"start": 5, "end": 5}, "end: 5 µs is not after the start at 5 µs"),
        ({"start": "last"}, "start: 'last' is unknown; known are first, zero"),
        ({"start": 1.5}, "start: 1.5 is not a whole number"),
        ({"start": 0, "end": 1 << 50}, "windows of 200000 µs without any event, at most 10000 may be"),
        ({"window": 5, "per_events": 3}, "per_events: says the length of a window, and so does window"),
        ({"window": None, "per_events": 0}, "per_events: 0 is not a whole number"),
        ({"window": None, "per_events": 3, "coding": "voxel"}, "per_events: goes with every coding but 'voxel'"),
    ],
)
def test_grids_that_cannot_be(options, found):
    with pytest.raises(InputError, match=found):
        encode(SECOND, SENSOR, **{"window": 200_000, "coding": "count", **options})


def by_number(events, n, **options):
    """Windows of n events as windows of time, in which event i comes at time i."""
    numbered = Events(events.x, events.y, np.arange(len(events)), events.p)
    return encode(numbered, SENSOR, n, **options)


CODINGS = [
    {"coding": "binary"},
    {"coding": "count", "subframes": 3},
    {"coding": "one-hot", "lanes": 3, "size": (4, 3)},
    {"coding": "phase", "phases": 2},
    {"coding": "count", "polarity": "signed"},
]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 70), st.integers(1, 25), st.sampled_from(CODINGS), st.data())
def test_windows_of_so_many_events_for_any_chunks(count, n, options, data):
    events = naive.make_events(np.random.default_rng(count), count, SENSOR, span=40)
    wanted = by_number(events, n, **options)
    np.testing.assert_array_equal(encode(events, SENSOR, per_events=n, **options), wanted)
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=5)))
    encoder, windows = FrameEncoder(SENSOR, per_events=n, **options), []
    for a, b in zip([0, *cuts], [*cuts, count], strict=True):
        windows += list(encoder.windows(events[a:b]))
        assert sum(window.events for window in windows) == b // n * n
    windows += list(encoder.finish_windows())
    got = [window.frames for window in windows]
    np.testing.assert_array_equal(np.concatenate(got) if got else wanted[:0], wanted)
    t = events.t.tolist()
    spans = [(t[i], t[min(i + n, count) - 1] + 1) for i in range(0, count, n)]
    assert [(window.t_start, window.t_end) for window in windows] == spans
    assert (encoder.report.windows, encoder.report.partial_events) == (-(-count // n), count % n)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(1, 60), st.integers(-20, 60), st.integers(1, 80), st.integers(1, 30), st.data())
def test_starts_and_ends_for_any_chunks(count, start, length, window, data):
    events = naive.make_events(np.random.default_rng(count), count, SENSOR, span=50)
    end, t = start + length, events.t
    inside = events.select((t >= start) & (t < end))
    cuts = sorted(data.draw(st.lists(st.integers(0, count), max_size=5)))
    chunks = [events[a:b] for a, b in zip([0, *cuts], [*cuts, count], strict=True)]
    encoder = FrameEncoder(SENSOR, window, "count", start=start, end=end)
    if not len(inside):
        with pytest.raises(InputError, match="none of"):
            list(encoder.encode(chunks))
        return
    got = np.concatenate([each.frames for each in encoder.encode(chunks)])
    wanted = np.zeros((-(-length // window), 2, 6, 8))
    for time, x, y, p in naive.rows_of(inside):
        wanted[(time - start) // window, p, y, x] += 1
    np.testing.assert_array_equal(got, wanted)
    assert (encoder.report.before_start, encoder.report.after_end) == (int((t < start).sum()), int((t >= end).sum()))


def test_so_many_events_are_those_in_the_frames():
    events = naive.make_events(np.random.default_rng(1), 300, SENSOR, span=1000)
    options = {"coding": "count", "crop": (2, 1, 4, 3)}
    inside = naive.crop_rows([row for row in naive.rows_of(events) if 100 <= row[0] < 700], (2, 1, 4, 3))
    frames = encode(events, SENSOR, per_events=7, start=100, end=700, **options)
    assert sums(frames) == [7] * (len(inside) // 7) + [len(inside) % 7] * (len(inside) % 7 > 0)


def test_settings_of_so_many_events():
    node = EventInput((2, 6, 8), SENSOR, 10_000, 4, 3, "one-hot", "or")
    with pytest.raises(InputError, match="per_events: contradicts the EventInput, which has windows of 10000 µs"):
        FrameEncoder.from_node(node, per_events=500)
    surface = EventInput((2, 6, 8), SENSOR, 10_000, coding="time-surface", tau_surface=1000)
    for one, options, found in (
        (node, {"polarity": "signed"}, "polarity: contradicts the EventInput"),
        (node, {"tau": 7}, "tau: goes with coding 'time-surface', not with 'one-hot'"),
        (surface, {"tau": 7}, "tau: contradicts the EventInput, .* coding 'time-surface'"),
        (surface, {"tua": 7}, "tua: is no option of an encoder"),
    ):
        with pytest.raises(InputError, match=found):
            FrameEncoder.from_node(one, **options)
    assert FrameEncoder.from_node(node, start="zero", end=30_000).settings.window == 10_000
    made = EncoderSettings(SENSOR, coding="count", per_events=500)
    assert (made.window, made.length, made.length_text) == (0, 500, "500 events")
    assert FrameEncoder(**made.to_dict()).settings == made
    assert EncoderSettings(SENSOR, 2500).length_text == "2.5 ms"


def test_a_stream_of_so_many_events_decides_on_each():
    recording = open_recording(SECOND, (34, 34))
    with Stream(recording, SumProgram(), FrameEncoder((34, 34), coding="count", per_events=30)) as stream:
        decisions = list(stream)
    assert [decision.events for decision in decisions] == [30, 30, 21]
    assert [decision.t_us for decision in decisions] == [390_001, 690_001, 900_001]
    assert (stream.summary.partial_events, stream.summary.after_end) == (21, 0)


def test_a_live_stream_ends_when_its_end_is_passed():
    def endless():
        yield SECOND
        while True:
            yield SECOND[:0]

    recording = camera((34, 34), endless())
    encoder = FrameEncoder((34, 34), 200_000, "count", start="zero", end=500_000)
    with Stream(recording, SumProgram(), encoder) as stream:
        assert [decision.events for decision in stream] == [10, 20, 10]
    assert (stream.summary.after_end, stream.summary.interrupted) == (40, False)


@pytest.fixture
def second(tmp_path):
    rows = "".join(f"{t},{x},{y},{p}\n" for t, x, y, p in naive.rows_of(SECOND))
    (tmp_path / "second.csv").write_text("t_us,x,y,p\n" + rows)
    return tmp_path / "second.csv"


@pytest.mark.parametrize(
    ("flags", "wanted", "said"),
    [
        (["--window", "200ms", "--start", "zero"], [10, 20, 20, 20, 11], "the last one is cut short and holds 11"),
        (["--window", "200ms", "--start", "first"], [20, 20, 20, 20, 1], "81 events in 5 windows of 200000 µs"),
        (["--window", "0.2s", "--start", "250ms", "--end", "650ms"], [20, 20], "40 of 81 events in 2 windows"),
        (["--window", "200ms", "--start", "0s", "--end", "0.5s"], [10, 20, 10], "41 events after the last window"),
        (["--per-events", 30], [30, 30, 21], "81 events in 3 windows of 30 events"),
        (["--per-events", 10, "--start", "500ms"], [10, 10, 10, 10, 1], "40 events before the first window"),
    ],
)
def test_encode_and_stream_take_the_same_words(tmp_path, second, plain_model, flags, wanted, said):  # noqa: F811
    coding = ["--coding", "count", "--sensor", "34x34", "--size", "17x17"]
    result = run(encode_module.command, second, "-o", tmp_path / "f.npy", *coding, *flags)
    assert result.exit_code == 0, result.output
    frames = np.load(tmp_path / "f.npy")
    assert sums(frames) == wanted
    assert said in result.stderr
    assert f"Frames [T, P, H, W] of shape {frames.shape}" in result.stderr
    streamed = run(stream_module.command, second, "--model", plain_model, "--runtime", "reference", *coding, *flags)
    assert streamed.exit_code == 0, streamed.output
    *decisions, last = [json.loads(line) for line in streamed.stdout.splitlines()]
    assert [decision["events"] for decision in decisions] == wanted
    summary = last["summary"]
    assert sum(wanted) + summary["before_start"] + summary["after_end"] == 81
    assert said in streamed.stderr


def test_start_and_end_go_with_a_models_event_input(second, model):  # noqa: F811
    result = run(stream_module.command, second, "--model", model, "--start", "zero", "--end", "130ms")
    decisions = [json.loads(line) for line in result.stdout.splitlines()[:-1]]
    assert [decision["events"] for decision in decisions] == [0] * 10 + [1] * 3


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (["--per-events", 30, "--window", "10ms"], "option --per-events: does not go with --window"),
        (["--per-events", 30, "--max-gap", 5], "option --per-events: does not go with --max-gap"),
        (["--window", "10ms", "--start", "now"], "'now' is not first, zero or a time of whole microseconds"),
        (["--window", "10ms", "--end", "0.5us"], "option --end: '0.5us' is not a time"),
        (["--window", "10ms", "--jitter", "5"], "option --jitter: '5' is not a time"),
        (["--per-events", 30, "model"], "option --per-events: contradicts the EventInput node of the model"),
    ],
)
def test_options_that_contradict_each_other_are_named(tmp_path, second, model, flags, found):  # noqa: F811
    flags = [*flags[:-1], "--model", model] if flags[-1] == "model" else [*flags, "--coding", "count"]
    result = run(encode_module.command, second, "-o", tmp_path / "f.npy", *flags)
    assert isinstance(result.exception, NirbridgeError)
    assert found in str(result.exception)
