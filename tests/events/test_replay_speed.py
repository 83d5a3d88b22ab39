"""A recording replayed faster or slower: windows are due on a scaled clock, and latencies stay those of the wall."""

import threading

import numpy as np
import pytest

from nirbridge.errors import InputError
from nirbridge_events import FrameEncoder, Stream, pacing
from nirbridge_events.pacing import Pacer, replay_speed
from tests.events import naive
from tests.events.cameras import camera
from tests.events.test_sinks import Program


class Clock:
    """A wall clock that passes only while somebody waits on it."""

    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(pacing.time, "perf_counter", lambda: self.now)

    def wait(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(
    ("pace", "speed", "found"),
    [(None, None, None), ("max", None, None), ("real", None, 1.0), (None, 0.1, 0.1), ("real", 2, 2.0)],
)
def test_what_pace_and_speed_mean(pace, speed, found):
    assert replay_speed(pace, speed) == found


@pytest.mark.parametrize("speed", [0, -1, float("nan"), float("inf"), "2", True, 1e-4])
def test_a_speed_that_is_none(speed):
    with pytest.raises(InputError, match=r"speed: .* is no factor in 0.001"):
        replay_speed(None, speed)


def test_pace_max_has_no_speed():
    with pytest.raises(InputError, match="2 does not go with pace 'max'"):
        replay_speed("max", 2)
    with pytest.raises(InputError, match="pace"):
        replay_speed("fast", None)


@pytest.mark.parametrize("speed", [0.1, 1.0, 2.0])
def test_windows_are_due_on_the_scaled_clock(monkeypatch, speed):
    clock = Clock(monkeypatch)
    pacer = Pacer(speed, clock)
    pacer.start(clock.now)
    moments = [pacer.wait(7_000_000 + t, 7_000_000 + t + 10_000) for t in range(0, 50_000, 10_000)]
    np.testing.assert_allclose(np.array(moments) - 100, np.arange(1, 6) * 0.01 / speed, atol=1e-9)
    clock.now += 3
    late = pacer.wait(7_050_000, 7_060_000)
    assert late == pytest.approx(100 + 0.06 / speed), "a reader that cannot keep up shows in the latency"
    assert clock.now == pytest.approx(103 + 0.05 / speed)


def test_a_stream_says_its_speed_and_takes_its_time():
    events = naive.make_events(np.random.default_rng(0), 400, (34, 34), span=100_000)
    with Stream([events], Program(), FrameEncoder((34, 34), 10_000, "count"), speed=2, budget=1 << 30) as stream:
        decisions = list(stream)
    summary = stream.summary
    assert (summary.speed, summary.latency_from, summary.over_budget) == (2.0, "pace", 0)
    assert summary.seconds >= (len(decisions) - 1) * 0.005
    assert all(decision.latency_ms >= decision.compute_ms >= 0 for decision in decisions)
    fast = Stream([events], Program(), FrameEncoder((34, 34), 10_000, "count"))
    assert (len(list(fast)), fast.summary.speed, fast.summary.latency_from) == (len(decisions), None, "read")


def test_a_live_source_has_its_own_pace():
    live = camera((34, 34), [])
    with pytest.raises(InputError, match="a speed, does not go with camera"):
        Stream(live, Program(), FrameEncoder((34, 34), 10_000, "count"), speed=2)


def test_a_stop_ends_a_slow_wait():
    stop = threading.Event()
    pacer = Pacer(0.001, stop)
    pacer.start(pacing.time.perf_counter())
    stop.set()
    assert pacer.wait(0, 10_000_000) > 1000
