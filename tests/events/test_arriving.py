"""When windows of live sources are over, what they wait for, and what is said of it: each by hand, on a fake clock."""

import dataclasses
import math

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import Events, FrameEncoder, Stream
from nirbridge_events.decisions import Readout
from nirbridge_events.pacing import ArrivalClock
from nirbridge_events.watching import INTERVAL, StreamStatus, Watch
from nirbridge_events.window_queue import Ready, WindowQueue
from nirbridge_events.windows import Window
from tests.events import naive
from tests.events.cameras import camera
from tests.events.test_streaming import SENSOR, SumProgram, make_stream


def heard(clock, *pairs, **how):
    tops, moments = zip(*pairs, strict=True)
    clock.heard(np.array(tops), np.array(moments, dtype=float), **how)


def test_a_window_is_over_when_the_sources_clock_reaches_its_end():
    clock = ArrivalClock(jitter=1000, grace=200_000)
    heard(clock, (0, 100.0), (9_000, 100.010), (12_000, 100.013))
    # The event at 9 ms came at 100.010: 10 ms is 1 ms later, before the event at 12 ms.
    assert clock.moments_of(10_000, 101.0) == pytest.approx((100.011, 100.013))
    # 12 ms was reached exactly; 13 ms was not yet seen, so the window to 12 ms waits for silence.
    assert clock.moments_of(12_000, 101.0) == pytest.approx((100.013, 100.214))
    # Nothing after 12 ms: the end is 8 ms after it, and the window waits for jitter and grace.
    assert clock.moments_of(20_000, 101.0) == pytest.approx((100.021, 100.222))
    assert clock.moments_of(20_000, 100.015) == pytest.approx((100.015, 100.015))
    assert clock.silent_until(100.214) == pytest.approx(12_000, abs=1)


def test_events_that_come_in_a_burst_end_their_windows_when_they_come():
    clock = ArrivalClock()
    heard(clock, (9_000, 50.0), (35_000, 50.3))
    assert clock.moments_of(10_000, 60.0)[0] == pytest.approx(50.001)
    assert clock.moments_of(30_000, 60.0)[0] == pytest.approx(50.021)
    heard(clock, (36_000, 50.3), (60_000, 50.301))
    assert clock.moments_of(50_000, 60.0)[0] == pytest.approx(50.301)


def test_late_events_do_not_hold_the_clock_up():
    clock = ArrivalClock()
    heard(clock, (9_000, 50.0))
    heard(clock, (9_000, 50.4))
    assert clock.silent_until(50.5) == 509_000


def test_a_source_that_waits_for_its_reader_is_late_by_its_own_clock():
    clock = ArrivalClock()
    heard(clock, (2_000, 10.0), since=500, prompt=True)
    heard(clock, (90_000, 10.5), since=3_000)
    # Read only at 10.5; the source said 50 ms at 10.048 by what came promptly at 10.0, or at 10.0495 at the latest.
    assert clock.moments_of(50_000, 11.0)[0] == pytest.approx(10.048)
    assert clock.due(50_000) == pytest.approx(10.0495)
    assert ArrivalClock().due(50_000) == -math.inf


def test_what_is_forgotten_changes_nothing():
    rng = np.random.default_rng(0)
    tops = np.sort(rng.integers(0, 100, 300)) * 1000
    moments = np.sort(rng.uniform(0, 0.1, 300))
    whole, short = ArrivalClock(500, 1000), ArrivalClock(500, 1000)
    for clock in (whole, short):
        clock.heard(tops, moments)
    for t_end in range(1000, 90_000, 1000):
        short.forget(t_end)
        assert short.moments_of(t_end, 9.0) == whole.moments_of(t_end, 9.0)
        assert short.silent_until(9.0) == whole.silent_until(9.0)
    assert len(short._tops) < len(whole._tops)


def ready(index, complete=0.0, due=-math.inf):
    return Ready(Window(np.zeros(1, np.float32), index, 0, 1, 10), 0.0, complete, due)


def test_a_burst_is_kept_until_the_model_is_too_slow(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("nirbridge_events.window_queue.time.perf_counter", lambda: now[0])
    queue = WindowQueue(2, "drop-oldest", patience=0.2)
    waits = []

    def wait(seconds):
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(queue._changed, "wait", wait)
    for index in range(3):
        queue.put(ready(index, complete=100.0))
    # The third one waits until the first is 200 ms old, then the first is dropped; the fourth does not wait.
    assert waits == pytest.approx([0.2])
    queue.put(ready(3, complete=100.2))
    assert (len(waits), queue.dropped_windows) == (1, 2)
    # One of two left is half empty: the model has caught up, and the next burst is kept again.
    queue.get(), queue.get()
    queue.put(ready(4, complete=100.2)), queue.put(ready(5, complete=100.2)), queue.put(ready(6, complete=100.2))
    assert waits[1:] == pytest.approx([0.2])


def test_windows_before_their_time_make_the_source_wait(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("nirbridge_events.window_queue.time.perf_counter", lambda: now[0])
    queue = WindowQueue(1, "drop-newest")
    monkeypatch.setattr(queue._changed, "wait", lambda seconds: now.__setitem__(0, now[0] + seconds))
    queue.put(ready(0))
    queue.put(ready(1, due=103.0))
    assert now[0] == pytest.approx(103.0)
    assert queue.dropped_windows == 1


def test_a_leaky_mean_counts_each_window_by_its_age():
    readout = Readout("leaky", 2000)
    given = {0: [[1.0], [3.0]], 1: [[5.0]], 4: [[2.0]]}
    for window, values in given.items():
        scores = readout.add(np.array(values)[:, None], 1000 * window)
        kept = {w: math.exp(-(window - w) / 2) for w in given if w <= window}
        total = sum(kept[w] * sum(row[0] for row in given[w]) for w in kept)
        assert scores == pytest.approx([total / sum(kept[w] * len(given[w]) for w in kept)])
    assert readout.add(np.zeros((0, 1, 1)), 9000) == pytest.approx(scores)
    assert readout.add(np.full((1, 1, 1), 7.0), 10**12) == pytest.approx([7.0])


def test_ten_seconds_left_then_five_right_switches_and_a_plain_mean_never_does():
    left, right = np.array([[[1.0, 0.0]]]), np.array([[[0.0, 1.0]]])
    for name, switches in (("leaky", 69), ("mean", None)):
        readout = Readout(name, 1_000_000)
        for window in range(1000):
            readout.add(left, 10_000 * window)
        first = None
        for window in range(1000, 1500):
            scores = readout.add(right, 10_000 * window)
            first = window - 1000 if first is None and scores[1] > scores[0] else first
        # Windows of 10 ms: 1 - e^(-n/100) > 1/2 after n = 69.3 windows.
        assert first == switches


def test_readout_times_are_checked():
    events = naive.make_events(np.random.default_rng(0), 200, SENSOR, span=1000)
    stream = make_stream(events, SumProgram(), readout="leaky", readout_time=200)
    decisions = list(stream)
    summary = stream.summary
    assert (summary.readout, summary.readout_time_us, summary.policy) == ("leaky", 200, "block")
    assert decisions[1].scores[0] == pytest.approx(
        (math.exp(-0.5) * (events.p[events.t < events.t[0] + 100] == 0).sum()
         + ((events.p == 0) & (events.t >= events.t[0] + 100) & (events.t < events.t[0] + 200)).sum())
        / (math.exp(-0.5) + 1)
    )  # fmt: skip
    for options in ({"readout_time": 5}, {"readout": "leaky", "readout_time": 0}):
        with pytest.raises(InputError, match="readout_time"):
            make_stream(events, SumProgram(), **options)


STATUS = StreamStatus(
    decisions=0, lag_ms=1.0, latency_ms=1.0, latency_from="arrival", over_budget=0, dropped_windows=0, late=0,
    outside=0, malformed=0, policy="block", gap_windows=0, resyncs=0, silent_s=0.0, lost={}, notices=(),
)  # fmt: skip


def test_losses_are_said_at_once_and_then_not_too_often():
    watch = Watch("cam", 50)
    said = []
    for tick in range(100):
        now = tick / 10
        said += [(now, line) for line in watch.lines(dataclasses.replace(STATUS, late=10 * (tick + 1)), now)]
    assert [now for now, _ in said] == pytest.approx(np.arange(5) * INTERVAL)
    assert said[0][1].startswith("cam: 10 events came too late and were left out")
    assert said[1][1].endswith("(+200).")
    assert len(watch.lines(dataclasses.replace(STATUS, late=1000), 20.0)) == 1
    assert watch.lines(dataclasses.replace(STATUS, late=1000), 30.0) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"outside": 3}, "cam: 3 events outside the sensor were left out."),
        ({"dropped_windows": 2}, "cam: 2 windows were dropped, because more came than the model took in time."),
        ({"gap_windows": 9}, "cam: 9 empty windows of long gaps were left out."),
        ({"lost": {"datagrams that are odd": 4}}, "cam: 4 datagrams that are odd."),
        ({"notices": ("two cameras send",)}, "cam: two cameras send."),
        ({"silent_s": 6.0}, "cam: silent, no event since 6 s."),
        (
            {"lag_ms": 812.4},
            "cam: 1 decisions came more than 50 ms after their window was complete, now 812 ms. "
            "Use a larger --window or a faster --runtime, or --policy drop-oldest.",
        ),
        (
            {"over_budget": 7, "policy": "drop-oldest"},
            "cam: 7 decisions came more than 50 ms after their window was complete, now 1 ms. "
            "Use a larger --window or a faster --runtime.",
        ),
    ],
)
def test_each_trouble_has_its_line_and_is_said_once(change, line):
    watch = Watch("cam", 50)
    assert watch.lines(STATUS, 0.0) == []
    status = dataclasses.replace(STATUS, **change)
    assert watch.lines(status, 1.0) == [line]
    assert watch.lines(status, 9.0) == []


def test_a_recording_has_neither_budget_nor_silence():
    events = naive.make_events(np.random.default_rng(0), 200, SENSOR, span=1000)
    stream = make_stream(events, SumProgram())
    decisions = list(stream)
    status, summary = stream.status, stream.summary
    assert (status.silent_s, summary.over_budget, summary.latency_from) == (None, None, "read")
    assert Watch("rec", None).lines(status, 0.0) == []
    for decision in decisions:
        parts = decision.hold_ms + decision.queue_ms + decision.compute_ms
        assert decision.latency_ms == pytest.approx(parts, abs=0.003)
        assert decision.hold_ms == 0.0


def test_decisions_over_the_budget_are_counted():
    events = naive.make_events(np.random.default_rng(0), 200, SENSOR, span=1000)
    slow = make_stream(events, SumProgram(), budget=1)
    assert len(list(slow)) == slow.summary.over_budget == slow.status.over_budget == 10
    easy = make_stream(events, SumProgram(), budget=10**9)
    list(easy)
    assert easy.summary.over_budget == 0


def test_gaps_are_bounded_one_by_one_or_for_a_whole_call():
    events = naive.events_of([(0, 1, 1, 1), (1000, 1, 1, 1), (2000, 1, 1, 1)])
    encoder = FrameEncoder(SENSOR, 10, "count", gap="count", max_gap=5)
    windows = [*encoder.windows(events), *encoder.finish_windows()]
    assert [window.index for window in windows] == [0, *range(1, 6), 100, *range(101, 106), 200]
    assert encoder.report.gap_windows == 2 * 94
    assert [window.events for window in windows if window.events] == [1, 1, 1]
    encoder = FrameEncoder(SENSOR, 10, "count", gap="count", max_gap=5)
    windows = [*encoder.windows(events, most_empty=7), *encoder.finish_windows()]
    assert [window.index for window in windows] == [0, *range(1, 6), 100, 101, 102, 200]
    assert encoder.report.gap_windows == 94 + 97
    assert encoder.report.windows + encoder.report.gap_windows == 201
    with pytest.raises(InputError, match="99 windows of 10 µs without any event, at most 5"):
        list(FrameEncoder(SENSOR, 10, "count", max_gap=5).windows(events))


def test_silence_makes_no_more_than_a_gap_at_once():
    encoder = FrameEncoder(SENSOR, 10, "count", gap="count", max_gap=5)
    list(encoder.windows(naive.events_of([(0, 1, 1, 1)])))
    assert len(list(encoder.windows_until(10_000_000))) == 6
    assert encoder.report.gap_windows == 10**6 - 6


def test_time_goes_on_for_events_outside_the_crop_of_a_live_source():
    events = Events.concatenate([naive.events_of([(t, 20, 20, 1)]) for t in range(0, 1000, 50)])
    recording = camera(SENSOR, [events], 0)
    encoder = FrameEncoder(SENSOR, 100, "count", crop=(0, 0, 5, 5))
    program = SumProgram()
    program.advance = lambda x, record: type("Done", (), {"output": x.sum(axis=(3, 4)), "records": {}})
    with Stream(recording, program, encoder, warm_up=False) as stream:
        decisions = list(stream)
    assert [decision.window for decision in decisions] == list(range(10))
    assert stream.summary.cropped == 20
