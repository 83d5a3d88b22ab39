"""Streaming with a program that the test controls."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from nirbridge.errors import ExecutionError, FileError, InputError
from nirbridge_events import FrameEncoder, Stream, encode, open_recording, write_nmnist
from nirbridge_events.window_queue import Ready, WindowQueue
from nirbridge_events.windows import Window
from tests.events import naive

SENSOR = (34, 34)


class SumProgram:
    """Adds up OFF and ON events; ``hook`` runs before each step."""

    def __init__(self, hook=lambda step: None, block=1):
        self.hook, self.frames, self.resets, self.calls = hook, [], 0, []
        self.plan = SimpleNamespace(block=block)

    def reset(self):
        self.resets += 1

    def advance(self, x, record=()):
        assert x.shape[1:] == (1, 2, 34, 34)
        assert len(x) % self.plan.block == 0
        self.calls.append(len(x))
        for frame in x:
            self.hook(len(self.frames))
            self.frames.append(frame[0].copy())
        output = x.sum(axis=(3, 4))
        return SimpleNamespace(output=output, records=dict.fromkeys(record, x[:, :, 1]))


@pytest.fixture
def events():
    return naive.make_events(np.random.default_rng(0), 2000, SENSOR, span=1000, start=500)


def make_stream(source, program, **options):
    options = {"warm_up": False, **options}
    return Stream(open_recording(source, SENSOR), program, FrameEncoder(SENSOR, 100, "count"), **options)


def wait_until(condition):
    end = time.perf_counter() + 60
    while not condition():
        assert time.perf_counter() < end, "it did not come"
        time.sleep(0.001)


def no_thread_left():
    return not any(thread.name == "nirbridge-events" for thread in threading.enumerate())


def test_every_window_is_decided_in_order(events):
    program = SumProgram()
    with make_stream(events, program, labels=["off", "on"]) as stream:
        decisions = list(stream)
    frames = encode(events, SENSOR, 100, "count")
    np.testing.assert_array_equal(np.stack(program.frames), frames)
    assert program.resets == 1
    totals = frames.sum(axis=(2, 3), dtype=np.float64).cumsum(axis=0)
    start = int(events.t[0])
    for i, decision in enumerate(decisions):
        scores = totals[i] / (i + 1)
        assert decision.scores == pytest.approx(tuple(scores))
        assert decision.predicted == scores.argmax()
        assert decision.label == ["off", "on"][decision.predicted]
        assert decision.margin == pytest.approx(abs(scores[0] - scores[1]))
        assert (decision.window, decision.t_us) == (i, start + 100 * (i + 1))
        assert decision.events == frames[i].sum()
        assert decision.latency_ms > 0
        assert (decision.dropped_windows, decision.dropped_events) == (0, 0)
    summary = stream.summary
    assert (summary.windows, summary.decisions, summary.events) == (10, 10, 2000)
    assert summary.partial_events == frames[-1].sum()
    assert not summary.interrupted
    assert summary.source is None or summary.source["events"] == summary.events
    assert summary.latency_ms["p50"] <= summary.latency_ms["p95"] <= summary.latency_ms["p99"]
    assert summary.events_per_s == pytest.approx(2000 / summary.seconds, rel=1e-3)
    assert no_thread_left()


def test_the_warm_up_leaves_no_trace_but_its_time(events):
    program = SumProgram(lambda step: time.sleep(0.05 if step == 0 else 0))
    stream = make_stream(events, program, warm_up=True)
    decisions = list(stream)
    assert program.resets == 2
    assert not program.frames[0].any()
    np.testing.assert_array_equal(np.stack(program.frames[1:]), encode(events, SENSOR, 100, "count"))
    cold = list(make_stream(events, SumProgram()))
    assert [decision.scores for decision in decisions] == [decision.scores for decision in cold]
    assert stream.summary.warm_up_s >= 0.05
    assert stream.summary.decisions == 10


@pytest.mark.parametrize(("readout", "factor"), [("sum", 1), ("last", None)])
def test_readouts(events, readout, factor):
    frames = encode(events, SENSOR, 100, "count").sum(axis=(2, 3))
    wanted = frames.cumsum(axis=0) if factor else frames
    decisions = list(make_stream(events, SumProgram(), readout=readout))
    assert [decision.scores for decision in decisions] == [tuple(row) for row in wanted.tolist()]


def test_block_waits_for_a_slow_program(events):
    with make_stream(events, SumProgram(lambda step: time.sleep(0.005)), queue_size=1) as stream:
        assert len(list(stream)) == 10
    assert (stream.summary.dropped_windows, stream.summary.dropped_events) == (0, 0)


def test_drop_oldest_counts_every_window_and_event_that_it_drops(events):
    def wait_until_all_is_encoded(step):
        for thread in threading.enumerate():
            if thread.name == "nirbridge-events":
                thread.join(60)

    program = SumProgram(wait_until_all_is_encoded)
    with make_stream(events, program, policy="drop-oldest", queue_size=2) as stream:
        decisions = list(stream)
    summary = stream.summary
    assert [decision.window for decision in decisions[-2:]] == [8, 9]
    assert len(decisions) + summary.dropped_windows == summary.windows == 10
    assert summary.dropped_windows >= 7
    assert sum(decision.events for decision in decisions) + summary.dropped_events == 2000
    assert decisions[-1].dropped_windows == summary.dropped_windows
    frames = encode(events, SENSOR, 100, "count")
    np.testing.assert_array_equal(np.stack(program.frames), frames[[decision.window for decision in decisions]])


def test_real_pace_hands_windows_over_at_their_time():
    events = naive.make_events(np.random.default_rng(0), 500, SENSOR, span=200_000)
    arrived = []
    program = SumProgram(lambda step: arrived.append(time.perf_counter()))
    encoder = FrameEncoder(SENSOR, 50_000, "count")
    began = time.perf_counter()
    with Stream(open_recording(events, SENSOR), program, encoder, pace="real", warm_up=False) as stream:
        decisions = list(stream)
    assert len(decisions) == 4
    for i, moment in enumerate(arrived):
        assert moment - began >= 0.05 * (i + 1)
    assert time.perf_counter() - began < 60


def test_a_reader_error_comes_after_the_decisions_on_what_was_read(tmp_path, events):
    write_nmnist(tmp_path / "a.bin", events)
    data = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "a.bin").write_bytes(data[:5000] + bytes([200, 1]) + data[5002:])
    decisions = []
    stream = make_stream(tmp_path / "a.bin", SumProgram())
    with pytest.raises(FileError, match=r"event 1000 lies at \(200, 1\), outside"):
        decisions.extend(stream)
    decided = int((events.t[999] - events.t[0]) // 100)
    assert len(decisions) == decided > 3
    summary = stream.summary
    assert summary.interrupted
    assert summary.events == 1000
    assert summary.pending_events == 1000 - sum(decision.events for decision in decisions) > 0
    assert no_thread_left()


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ExecutionError("runtime", "broke")])
@pytest.mark.parametrize(("policy", "at"), [("block", 3), ("drop-oldest", 0)])
def test_whatever_stops_the_program_ends_the_thread(events, problem, policy, at):
    def stop(step):
        if step == at:
            raise problem

    decisions = []
    with make_stream(events, SumProgram(stop), queue_size=1, policy=policy) as stream:
        with pytest.raises(type(problem)):
            decisions.extend(stream)
        assert no_thread_left()
    assert len(decisions) == at
    assert stream.summary.decisions == at
    assert stream.summary.interrupted


def test_leaving_early_ends_the_thread_even_while_it_sleeps(events):
    slow = naive.make_events(np.random.default_rng(0), 500, SENSOR, span=3_600_000_000)
    encoder = FrameEncoder(SENSOR, 600_000_000)
    began = time.perf_counter()
    with Stream(open_recording(slow, SENSOR), SumProgram(), encoder, pace="real") as stream:
        threading.Timer(0.05, stream.close).start()
        with pytest.raises(StopIteration):
            next(iter(stream))
        assert stream.summary.interrupted
    assert time.perf_counter() - began < 60
    assert no_thread_left()


@pytest.mark.parametrize("output", [np.array([[[1.0, np.nan]]]), np.zeros((1, 1, 0)), np.array([[[np.inf]]])])
def test_outputs_that_are_no_numbers_are_refused(events, output):
    program = SumProgram()
    program.advance = lambda x, record: SimpleNamespace(output=output, records={})
    with pytest.raises(ExecutionError, match="step 0: the output"):
        list(make_stream(events, program))


def test_models_with_several_outputs_are_refused(events):
    program = SumProgram()
    program.advance = lambda x, record: SimpleNamespace(output={"a": x, "b": x}, records={})
    for source, warm_up in ((events, False), (events[:0], True)):
        with pytest.raises(InputError, match="2 outputs: a, b"):
            list(make_stream(source, program, warm_up=warm_up))


def test_bad_arguments(events):
    for options, found in [
        ({"policy": "drop"}, "policy: 'drop' is unknown; known are block, drop-oldest, drop-newest"),
        ({"pace": "slow"}, "pace"),
        ({"readout": "max"}, "readout"),
        ({"queue_size": 0}, "queue_size"),
        ({"block": 0}, "block: 0 is not a whole number"),
        ({"segment": 0}, "segment: 0 windows are less than 1"),
        ({"confidence": float("nan")}, "confidence: nan is not a number >= 0"),
    ]:
        with pytest.raises(InputError, match=found):
            make_stream(events, SumProgram(), **options)
    with pytest.raises(InputError, match="encoder expects"):
        Stream(open_recording(events, SENSOR), SumProgram(), FrameEncoder((64, 64)))
    with pytest.raises(InputError, match="1 names for 2 outputs"):
        list(make_stream(naive.events_of([(1, 1, 1, 1)]), SumProgram(), labels=["a"]))
    with pytest.raises(InputError, match="1 names for 2 outputs"):  # before there is an event
        list(make_stream(events[:0], SumProgram(), labels=["a"], warm_up=True))
    stream = make_stream(events, SumProgram())
    list(stream)
    with pytest.raises(InputError, match="started before"):
        list(stream)


def test_chunks_may_be_structured_arrays(events):
    encoders = [FrameEncoder(SENSOR, 100, "count") for _ in range(2)]
    chunks = [events[:700], events[700:]]
    wanted = list(Stream(chunks, SumProgram(), encoders[0], warm_up=False))
    found = list(Stream([chunk.to_array() for chunk in chunks], SumProgram(), encoders[1], warm_up=False))
    assert [decision.scores for decision in found] == [decision.scores for decision in wanted]
    with pytest.raises(InputError, match="0 axes"):
        list(Stream(events.to_array(), SumProgram(), FrameEncoder(SENSOR), warm_up=False))


def test_the_queue_drops_its_oldest_and_ends_with_its_error():
    items = [Ready(Window(np.zeros(1, np.float32), i, 0, 1, 10 + i), 0.0, 0.0) for i in range(4)]
    queue = WindowQueue(2, "drop-oldest")
    assert all(queue.put(item) for item in items)
    queue.end(FileError("file 'x'", "broke"))
    assert (queue.dropped_windows, queue.dropped_events) == (2, 21)
    assert [*queue.get(), *queue.get()] == items[2:]
    with pytest.raises(FileError, match="broke"):
        queue.get()
    queue.close()
    assert not queue.put(items[0])
