"""Live sources through a stream, on real sockets and pipes: true latency, quiet times, losses, hostile datagrams."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from itertools import pairwise

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge_events import FrameEncoder, Recording, Stream
from nirbridge_events.live.batch import BatchSocket
from nirbridge_events.live.clock import FORWARD, LiveClock, Restarts
from nirbridge_events.live.evidence import FormatJudge, Senders
from nirbridge_events.live.stdin import open_stdin
from tests.events import naive
from tests.events import naive_formats as formats
from tests.events.test_live_udp import listening
from tests.events.test_streaming import SENSOR, SumProgram

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux stamps datagrams")


def spif(*times):
    return formats.spif_words([(t, 3, 4, 1) for t in times])


def live_stream(recording, program=None, window=10_000, encoder=None, **options):
    encoder = encoder or FrameEncoder(SENSOR, window, "count", outside="count", late="count", gap="count")
    return Stream(recording, program or SumProgram(), encoder, warm_up=False, **options)


def sending(sender, times, stamps):
    """A thread that sends an event a datagram at its time [µs], and stamps each."""

    def run():
        begin = time.perf_counter()
        for t in times:
            time.sleep(max(0.0, begin + t / 1e6 - time.perf_counter()))
            stamps.append((t, time.perf_counter()))
            sender.send(spif(t))

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def true_latencies(decisions, stamps):
    """From the sender's stamps: a window ends when its clock gets there, at the latest when it says so."""
    times, moments = map(np.array, zip(*stamps, strict=True))
    for decision, moment in decisions:
        after = int(np.searchsorted(times, decision.t_us))
        end = moments[after - 1] + (decision.t_us - times[after - 1]) / 1e6
        end = min(end, moments[after]) if after < len(times) else end
        yield (moment - end) * 1e3


@pytest.mark.parametrize("policy", ["block", "drop-oldest"])
def test_the_latency_of_a_slow_model_is_what_the_sender_sees(policy):
    program = SumProgram(lambda step: time.sleep(0.025))
    with listening("idle=1.5", SENSOR) as (recording, sender):
        stamps, decisions = [], []
        stream = live_stream(recording, program, policy=policy, queue_size=2, grace=0, budget=20_000)
        thread = sending(sender, range(0, 600_000, 2_500), stamps)
        for decision in stream:
            decisions.append((decision, time.perf_counter()))
        thread.join()
    with_events = [(decision, moment) for decision, moment in decisions if decision.events]
    said = np.array([decision.latency_ms for decision, _ in with_events])
    true = np.array(list(true_latencies(with_events, stamps)))
    assert len(said) >= 10
    # The outside clock is read a little later than the stream's own; on a busy machine now and then much later.
    assert np.median(np.abs(true - said)) < 30
    assert np.quantile(true - said, 0.1) > -5
    if policy == "block":
        # 60 windows of 10 ms take 1.5 s, and the lag grows to 0.9 s.
        assert said[-1] > 500
        assert np.corrcoef(true, said)[0, 1] > 0.99
        queued = [decision.queue_ms for decision, _ in with_events]
        assert queued[-1] > 0.8 * said[-1]
    assert all(decision.compute_ms >= 24 for decision, _ in with_events)
    summary = stream.summary
    assert (summary.policy, summary.latency_from, summary.readout) == (policy, "arrival", "leaky")
    assert summary.over_budget >= len(said)
    assert (summary.dropped_windows > 10) == (policy == "drop-oldest")


def test_the_latency_over_a_pipe_that_is_read_late_is_what_its_writer_sees():
    reading, writing = os.pipe()
    recording = open_stdin_of(reading, writing)
    stream = live_stream(recording, SumProgram(lambda step: time.sleep(0.025)), policy="block", queue_size=2)
    stamps, decisions = [(1000, time.perf_counter())], []

    def write():
        begin = time.perf_counter() - 0.0035
        for t in range(3_500, 600_000, 2_500):
            time.sleep(max(0.0, begin + t / 1e6 - time.perf_counter()))
            stamps.append((t, time.perf_counter()))
            os.write(writing, b"%d,1,1,1\n" % t)
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    for decision in stream:
        decisions.append((decision, time.perf_counter()))
    thread.join()
    os.close(reading)
    said = np.array([decision.latency_ms for decision, _ in decisions])
    true = np.array(list(true_latencies(decisions, stamps)))
    assert len(said) == 60
    assert said[-1] > 500
    assert np.median(np.abs(true - said)) < 100, "from the moment of reading it would be 400"


@LINUX
def test_datagrams_that_wait_in_the_system_keep_the_moment_at_which_they_came():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        batch = BatchSocket(receiver)
        # Linux begins to stamp a moment after it was asked to.
        time.sleep(0.5)
        stamps = []
        for _ in range(3):
            stamps.append(time.perf_counter_ns())
            sender.sendto(b"1234", receiver.getsockname())
            time.sleep(0.05)
        time.sleep(0.2)
        got = batch.receive()
        assert got.parts == [b"1234"] * 3
        assert np.abs(got.moments - stamps).max() < 150e6, "the first was read 350 ms after it came"
        assert got.senders == [f"127.0.0.1:{sender.getsockname()[1]}"]


def test_a_stall_within_the_grace_costs_nothing_and_one_beyond_it_is_counted():
    for grace, lost in ((1_500_000, False), (10_000, True)):
        with listening("idle=1.5", SENSOR) as (recording, sender):
            stream = live_stream(recording, grace=grace, queue_size=1000)

            def send(sender=sender):
                for k in range(20):
                    sender.send(spif(*range(k * 5_000, k * 5_000 + 5_000, 100)))
                    time.sleep(0.4 if k == 9 else 0.005)

            thread = threading.Thread(target=send)
            thread.start()
            decisions = list(stream)
            thread.join()
        summary = stream.summary
        assert sum(decision.events for decision in decisions) + summary.late == 1000
        assert (summary.late > 0) == lost
        assert summary.dropped_windows == 0


def test_a_source_whose_clock_stood_still_is_joined_on():
    with listening("idle=2", SENSOR) as (recording, sender):
        stream = live_stream(recording, grace=20_000, queue_size=1000)

        def send():
            for k in range(60):
                sender.send(spif(*range(k * 10_000, k * 10_000 + 10_000, 500)))
                time.sleep(0.6 if k == 9 else 0.01)

        thread = threading.Thread(target=send)
        thread.start()
        decisions = list(stream)
        thread.join()
    # Without joining on, the 0.5 s after the pause would all be late.
    assert sum(decision.events for decision in decisions) + stream.summary.late == 1200
    assert stream.summary.late < 600
    assert "the clock stood still while nothing came" in recording.report.notices[0]


@pytest.mark.parametrize("step", [2_000_000, 99_000, 10_000_000])
def test_a_datagram_whose_times_leap_makes_a_bounded_number_of_windows(step):
    times = [(1000 + k * step) & 0xFFFFFFFF for k in range(8000)]
    with listening("idle=0.3", SENSOR) as (recording, sender):
        encoder = FrameEncoder(SENSOR, 10_000, outside="count", late="count", gap="count")
        sender.send(spif(*times))
        begin = time.perf_counter()
        program = SumProgram()
        decisions = list(live_stream(recording, program, encoder=encoder, policy="block", block=64))
        took = time.perf_counter() - begin
    report = encoder.report
    assert sum(decision.events for decision in decisions) == 8000
    assert report.windows <= 8000 + 250
    assert recording.report.resyncs + report.gap_windows > 6000
    assert took < 30


def test_steps_forward_are_believed_as_far_as_time_passes_here():
    clock = LiveClock(32)
    counters, arrivals = [1000], [0]
    for _ in range(50):
        counters.append(counters[-1] + 500_000)
        arrivals.append(arrivals[-1] + 500_000)
    assert np.diff(clock.join(np.array(counters, np.uint64), np.array(arrivals))).tolist() == [500_000] * 50
    at_once = counters[-1] + 500_000 * np.arange(1, 11, dtype=np.uint64)
    steps = np.diff(clock.join(at_once, np.full(10, arrivals[-1])), prepend=counters[-1])
    assert steps.tolist() == [500_000] * (FORWARD // 500_000) + [0] * 6
    # After a long silence a long step is believed again.
    later = clock.join(np.array([at_once[-1] + 9_000_000], np.uint64), np.array([arrivals[-1] + 5_000_000]))
    assert later[0] - counters[-1] == FORWARD + 9_000_000
    assert clock.resyncs == 6


def test_restarts_of_a_pipes_clock_are_joined_on():
    restarts = Restarts()
    assert restarts.join(np.array([5_000_000, 5_000_100])).tolist() == [5_000_000, 5_000_100]
    assert restarts.join(np.array([0, 40, 10])).tolist() == [5_000_100, 5_000_140, 5_000_110]
    assert restarts.join(np.array([9_000_000])).tolist() == [14_000_100]
    assert restarts.count == 1


FAERY = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])


def datagrams(kind, count=40, events=50):
    rng = np.random.default_rng(0)
    for k in range(count):
        rows = [(k * 5000 + i * 100, *rng.integers(0, 34, 2).tolist(), i % 2) for i in range(events)]
        if kind == "spif":
            yield formats.spif_words(rows)
        elif kind == "untimed":
            yield formats.spif_words([(None, *row[1:]) for row in rows])
        elif kind == "faery":
            yield np.array([tuple(row) for row in rows], dtype=FAERY).tobytes()
        else:
            words = [(t, x, y << 1 | p) for t, x, y, p in rows]
            yield np.array(words, dtype=[("t", "<u4"), ("x", "<u2"), ("yp", "<u2")]).tobytes()


@pytest.mark.parametrize("sent", ["spif", "untimed", "faery", "faery32"])
@pytest.mark.parametrize("read_as", ["spif", "faery", "faery32"])
@pytest.mark.parametrize("events", [1, 3, 50])
def test_datagrams_of_another_format_are_recognised(sent, read_as, events):
    true = "spif" if sent == "untimed" else sent
    judge = FormatJudge(read_as, SENSOR)
    assert judge.look(list(datagrams(sent, events=events)), 0.0) == (None if read_as == true else true)


def test_noise_and_a_wrong_size_are_no_evidence_of_another_format():
    rng = np.random.default_rng(1)
    for _ in range(200):
        noise = [rng.integers(0, 256, int(rng.integers(1, 400)), dtype=np.uint8).tobytes() for _ in range(20)]
        for kind in ("spif", "faery", "faery32"):
            assert FormatJudge(kind, (640, 480)).look(noise, 0.0) is None
    assert FormatJudge("spif", (2, 2)).look(list(datagrams("spif")), 0.0) is None


def test_datagrams_of_another_format_are_left_out_and_said():
    with listening("idle=0.3&format=spif", SENSOR) as (recording, sender):
        stream = live_stream(recording)
        for data in datagrams("faery"):
            sender.send(data)
        assert list(stream) == []
    report = recording.report
    assert report.lost == {"datagrams of format 'faery'": 40}
    assert "look like format 'faery', not 'spif', and are left out" in report.notices[0]
    assert "?format=faery" in " ".join(recording.notes())
    assert stream.status.malformed == 40


def test_two_senders_are_noticed_and_a_restarted_one_is_not():
    for again in (True, False):
        senders = Senders()
        senders.add(["a:1", "a:1", "b:2"])
        assert senders.mixed is None
        senders.add(["a:1"] if again else ["b:2", "c:3"])
        assert senders.mixed == (("a:1", "b:2") if again else None)
    with (
        listening("idle=0.3", SENSOR) as (recording, first),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        second.connect(first.getpeername())
        for k in range(10):
            first.send(spif(1000 + k))
            second.send(spif(1000 + k))
        ports = [sock.getsockname()[1] for sock in (first, second)]
        list(live_stream(recording))
    assert "both send to this port; their events are mixed into one picture" in recording.report.notices[0]
    assert all(f"127.0.0.1:{port}" in recording.report.notices[0] for port in ports)


def test_a_pipe_that_is_silent_goes_on_with_decisions_and_counts_what_is_outside():
    reading, writing = os.pipe()
    recording = open_stdin_of(reading, writing)
    stream = live_stream(recording, grace=30_000, queue_size=100)
    decisions, moments = [], []

    def write():
        os.write(writing, b"2000,2,2,1\n25000,33,33,0\n26000,34,5,1\n")
        time.sleep(1)
        os.write(writing, b"1300000,1,1,1\n")
        os.close(writing)

    thread = threading.Thread(target=write)
    thread.start()
    for decision in stream:
        decisions.append(decision)
        moments.append(time.perf_counter())
    thread.join()
    os.close(reading)
    assert recording.live
    assert [decision.window for decision in decisions] == list(range(130))
    assert recording.report.outside_events == 1
    assert stream.summary.events == 4
    # Windows are decided while nothing comes, and not all at the end.
    in_silence = sum(1 for moment in moments if moment < moments[-1] - 0.1)
    assert in_silence >= 20
    assert np.diff(moments).max() < 0.7


def open_stdin_of(reading, writing):
    os.write(writing, b"t,x,y,p\n1000,1,1,1\n")
    return Recording(open_stdin("-?size=34x34", descriptor=reading), 0)


def test_a_pipe_ahead_of_its_time_loses_nothing_and_a_file_on_stdin_is_a_recording(tmp_path):
    events = naive.make_events(np.random.default_rng(0), 3000, SENSOR, span=100_000_000)
    text = formats.write_csv(naive.rows_of(events))
    (tmp_path / "rec.csv").write_bytes(text)
    scores = []
    for piped in (True, False):
        reading, writing = os.pipe() if piped else (os.open(tmp_path / "rec.csv", os.O_RDONLY), None)
        thread = threading.Thread(target=lambda fd=writing: os.write(fd, text) and os.close(fd))
        if piped:
            thread.start()
        recording = Recording(open_stdin("-?size=34x34", descriptor=reading), 1000)
        program = SumProgram(lambda step: time.sleep(0.002))
        # Windows of a second, so that the program is faster than they would be made also on a busy machine.
        stream = live_stream(recording, program, 1_000_000, queue_size=2, readout="sum")
        scores.append([decision.scores for decision in stream])
        assert (recording.live, stream.summary.dropped_windows) == (piped, 0)
        assert stream.summary.policy == ("drop-oldest" if piped else "block")
        if piped:
            thread.join()
        os.close(reading)
    assert scores[0] == scores[1]


def test_a_comment_in_a_pipe_does_not_hold_its_lines_up():
    reading, writing = os.pipe()
    os.write(writing, b"# my camera\n# 34x34\nt,x,y,p\n10,1,1,1\n20,2,2,0\n")
    begin = time.perf_counter()
    recording = Recording(open_stdin("-?size=34x34", descriptor=reading), 0)
    assert time.perf_counter() - begin < 60
    os.close(writing)
    assert [row for chunk in recording for row in naive.rows_of(chunk)] == [(10, 1, 1, 1), (20, 2, 2, 0)]
    os.close(reading)


@pytest.fixture
def model(tmp_path):
    nodes = {
        "input": nir.Input(np.array([2, 34, 34])),
        "flatten": nir.Flatten({"input": np.array([2, 34, 34])}, 0, -1),
        "sums": nir.Linear(np.ones((2, 2 * 34 * 34), dtype=np.float32)),
        "output": nir.Output(np.array([2])),
    }
    nirbridge.write(tmp_path / "m.nir", nir.NIRGraph(nodes, list(pairwise(nodes)), type_check=False))
    return tmp_path / "m.nir"


class Listening:
    """``nirbridge stream udp://`` as a process that ignores SIGINT, as a script's ``command &`` does."""

    def __init__(self, model, *flags, **how):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = ["stream", f"udp://127.0.0.1:{port}?size=34x34", "--model", model, "--runtime", "reference"]
        flags = ["--window", "10ms", "--coding", "count", *flags]
        code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from nirbridge.cli import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *map(str, command), *flags], stderr=subprocess.PIPE, text=True, **how
        )
        self.target = ("127.0.0.1", port)
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.sender.close()
        self.process.kill()
        self.process.communicate()

    def send_until_decided(self):
        """Sends events until the first decision is printed; returns its line."""
        over = threading.Event()

        def send():
            t = 0
            while not over.wait(0.005):
                self.sender.sendto(spif(t, t + 100), self.target)
                t += 5000

        thread = threading.Thread(target=send)
        thread.start()
        try:
            return self.process.stdout.readline()
        finally:
            over.set()
            thread.join()


def test_sigterm_ends_with_the_summary_and_its_exit_code(model):
    with Listening(model, stdout=subprocess.PIPE) as listening_process:
        process = listening_process.process
        first = json.loads(listening_process.send_until_decided())
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    summary = json.loads(out.splitlines()[-1])["summary"]
    assert process.returncode == 143
    assert summary["interrupted"]
    assert summary["decisions"] >= 1
    assert first["window"] == 0
    assert "Terminated." in err
    assert "Traceback" not in err
    assert re.search(r"Latency p50 / p99 [\d.]+ / [\d.]+ ms, from the end of the window, by the arrival", err)


def test_sigterm_with_a_closed_stdout_says_the_summary_on_stderr(model):
    reading, writing = os.pipe()
    os.close(reading)
    with Listening(model, stdout=writing) as listening_process:
        os.close(writing)
        process = listening_process.process
        # Nothing is sent, so nothing but the summary is printed.
        process.stderr.readline()
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in err
    (summary,) = (json.loads(line)["summary"] for line in err.splitlines() if line.startswith("{"))
    assert summary["decisions"] == 0
