"""Segments, early decisions, blocks, policies, silence and viewers: each against what the events say."""

import threading
import time

import numpy as np
import pytest

from nirbridge_events import Events, FrameEncoder, Stream, encode, open_recording
from tests.events import naive
from tests.events.test_streaming import SENSOR, SumProgram, make_stream, no_thread_left, wait_until


@pytest.fixture
def events():
    """2000 events in ten windows; the later a window, the more of its events are ON."""
    made = naive.make_events(np.random.default_rng(1), 2000, SENSOR, span=1000)
    late = np.random.default_rng(2).integers(0, 1000, 2000) < made.t
    return Events(made.x, made.y, made.t, late.astype(np.uint8))


def balance(decisions, summary):
    """Every event that the encoder took in is somewhere."""
    seen = sum(decision.events for decision in decisions)
    left = summary.dropped_events + summary.skipped_events + summary.pending_events
    return seen + left + summary.outside + summary.cropped + summary.late + summary.before_start


@pytest.mark.parametrize("block", [1, 8])
def test_drop_newest_keeps_what_waits(events, block):
    def wait_until_all_is_encoded(step):
        for thread in threading.enumerate():
            if thread.name == "nirbridge-events":
                thread.join(60)

    stream = make_stream(events, SumProgram(wait_until_all_is_encoded), policy="drop-newest", queue_size=2, block=block)
    decisions = list(stream)
    summary = stream.summary
    # The first step begins once one or two windows were taken, and ends when all are encoded: two more can wait then.
    windows = [decision.window for decision in decisions]
    assert windows[:2] == [0, 1]
    assert windows == sorted(windows)
    assert len(windows) <= 4
    assert len(decisions) + summary.dropped_windows == 10
    assert balance(decisions, summary) == 2000


def test_an_early_decision_ends_a_stream_without_segments(events):
    means = encode(events, SENSOR, 100, "count").sum(axis=(2, 3)).cumsum(axis=0) / np.arange(1, 11)[:, None]
    margins = np.abs(means[:, 0] - means[:, 1])
    limit = float(np.sort(margins)[-3])
    first = int(np.argmax(margins > limit))
    stream = make_stream(events, SumProgram(), confidence=limit)
    decisions = list(stream)
    assert [decision.early for decision in decisions] == [False] * first + [True]
    assert not stream.summary.interrupted
    assert stream.summary.early_decisions == 1
    assert balance(decisions, stream.summary) == stream.summary.events
    assert no_thread_left()


@pytest.mark.parametrize("block", [1, 4, 10])
@pytest.mark.parametrize("confidence", [None, 10.0, 1e9])
def test_segments_start_fresh_and_leave_out_what_follows_an_early_decision(events, block, confidence):
    program = SumProgram()
    stream = make_stream(events, program, segment=4, block=block, confidence=confidence)
    decisions = list(stream)
    counts = encode(events, SENSOR, 100, "count").sum(axis=(2, 3), dtype=np.float64)
    wanted = []
    for first in (0, 4, 8):
        for i in range(first, min(first + 4, 10)):
            scores = counts[first : i + 1].mean(axis=0)
            early = confidence is not None and abs(scores[0] - scores[1]) > confidence
            wanted.append((i, first // 4, tuple(scores), early))
            if early:
                break
    assert [(d.window, d.segment, d.scores, d.early) for d in decisions] == wanted
    assert program.resets == 3
    assert stream.summary.early_decisions == sum(early for *_, early in wanted)
    assert (stream.summary.early_decisions > 0) == (confidence == 10.0)
    assert stream.summary.skipped_windows == 10 - len(wanted)
    assert balance(decisions, stream.summary) == 2000


@pytest.mark.parametrize("block", [2, 3, 8, 100])
def test_blocks_change_the_calls_and_not_the_decisions(events, block):
    program = SumProgram(lambda step: wait_until(lambda: program.calls != [1] or len(stream._queue._items) >= 2))
    stream = make_stream(events, program, block=block)
    decisions = list(stream)
    assert max(program.calls) <= block
    assert sum(program.calls) == 10
    assert len(program.calls) < 10
    alone = list(make_stream(events, SumProgram()))
    assert [(d.window, d.scores, d.events) for d in decisions] == [(d.window, d.scores, d.events) for d in alone]


def test_a_graph_on_windows_gets_whole_calls_and_empty_windows_at_the_end(events):
    program = SumProgram(block=4)
    decisions = list(make_stream(events, program, block=2, queue_size=1))
    assert program.calls == [4, 4, 4]
    assert [decision.window for decision in decisions] == list(range(10))
    assert not np.any(program.frames[10:])
    alone = list(make_stream(events, SumProgram()))
    assert [decision.scores for decision in decisions] == [decision.scores for decision in alone]


@pytest.mark.parametrize("block", [1, 4, 10])
def test_empty_windows_for_a_graph_on_windows_come_behind_a_segment_never_inside(events, block):
    program = SumProgram(block=2)
    decisions = list(make_stream(events, program, segment=3, block=block))
    frames = encode(events, SENSOR, 100, "count")
    empty = np.zeros((1, *frames.shape[1:]), dtype=np.float32)
    segments = [np.concatenate((frames[first : first + 3], empty)) for first in (0, 3, 6, 9)]
    np.testing.assert_array_equal(np.stack(program.frames), np.concatenate(segments))
    assert [(d.window, d.segment) for d in decisions] == [(i, i // 3) for i in range(10)]
    assert program.resets == 4


def test_every_frame_of_a_phase_coded_window_is_a_step(events):
    program = SumProgram()
    encoder = FrameEncoder(SENSOR, 100, "phase", phases=3)
    decisions = list(Stream(open_recording(events, SENSOR), program, encoder, warm_up=False, readout="last"))
    frames = encode(events, SENSOR, 100, "phase", phases=3)
    np.testing.assert_array_equal(np.stack(program.frames), frames)
    assert len(decisions) == 10
    assert [d.scores for d in decisions] == [tuple(row) for row in frames[2::3].sum(axis=(2, 3)).tolist()]


def test_a_viewer_sees_frames_decisions_and_rates(events):
    seen = []
    stream = make_stream(events, SumProgram(), record=["on"], observe=seen.append, block=3)
    decisions = list(stream)
    frames = encode(events, SENSOR, 100, "count")
    assert [observation.decision for observation in seen] == decisions
    np.testing.assert_array_equal(np.stack([observation.window.frame for observation in seen]), frames)
    assert [o.rates["on"] for o in seen] == pytest.approx((frames[:, 1] > 0).mean(axis=(1, 2)).tolist())


class Camera:
    """Events, then silence until it is closed, as a live source that has nothing to send."""

    def __init__(self, events):
        self.events, self.over = events, threading.Event()

    def __iter__(self):
        yield self.events
        while not self.over.is_set():
            self.over.wait(0.005)
            yield self.events[:0]

    def close(self):
        self.over.set()


def test_a_silent_camera_does_not_stop_the_decisions():
    camera = Camera(naive.events_of([(5, 1, 1, 1), (20_007, 2, 2, 1)]))
    stream = Stream(camera, SumProgram(), FrameEncoder(SENSOR, 10_000, "count", late="count"), warm_up=False)
    decisions = []
    for decision in stream:
        decisions.append(decision)
        if decision.window == 9:
            break
    stream.close()
    assert [decision.window for decision in decisions] == list(range(10))
    assert [decision.events for decision in decisions] == [1, 0, 1, *[0] * 7]
    assert no_thread_left()


def test_a_camera_that_hangs_does_not_hold_the_end_up():
    wake = threading.Event()

    def hang():
        yield naive.events_of([(5, 1, 1, 1), (15_000, 2, 2, 1)])
        wake.wait(60)

    stream = Stream(hang(), SumProgram(), FrameEncoder(SENSOR, 10_000, "count"), warm_up=False)
    began = time.perf_counter()
    iterator = iter(stream)
    assert next(iterator).events == 1
    iterator.close()
    assert time.perf_counter() - began < 40
    assert stream.summary.interrupted
    assert stream.summary.pending_events == 1
    wake.set()


def test_stopping_counts_what_waits(events):
    stream = make_stream(events, SumProgram(), queue_size=3)
    iterator = iter(stream)
    decisions = [next(iterator), next(iterator)]
    wait_until(lambda: len(stream._queue._items) == 3)
    iterator.close()
    assert stream.summary.skipped_windows in (3, 4)
    assert balance(decisions, stream.summary) == stream.summary.events
