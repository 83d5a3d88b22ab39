"""A recording or a live source streamed through a compiled network: one decision a window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.arriving import Arriving
from nirbridge_events.calls import Calls, StreamProgram, spike_rate
from nirbridge_events.decisions import (
    READOUT_TIME,
    READOUTS,
    Decision,
    Readout,
    Scores,
    StreamSummary,
    decide,
    percentiles,
)
from nirbridge_events.encoding import FrameEncoder, check_same_sensor
from nirbridge_events.events import Events
from nirbridge_events.pacing import replay_speed
from nirbridge_events.recording import Recording
from nirbridge_events.segments import Segments
from nirbridge_events.settings import one_of, whole_number
from nirbridge_events.stream_log import StreamLog
from nirbridge_events.watching import StreamStatus
from nirbridge_events.window_queue import POLICIES, Ready, WindowQueue
from nirbridge_events.windows import Window

QUEUE_SIZE = 8
GRACE = 200_000
BUDGET = 50_000
KEPT_LATENCIES = 1 << 16
"""Decisions whose times stay in memory, for the percentiles of the summary."""
JOIN_SECONDS = 1.0
"""How long the end waits for a reader that may be inside a blocking read; its thread is a daemon."""


@dataclass(frozen=True)
class Observation:
    """What a viewer may want to know about a window.

    Attributes:
        window: its frames.
        decision: what the network said after it.
        rates: of each recorded node, the share of its neurons that spiked, over the steps of the window.
    """

    window: Window
    decision: Decision
    rates: dict[str, float]


class Stream:
    """Reads and encodes in one thread, runs the network in the caller's, with a bounded queue between them.

    Iterate over it once to get the decisions; then ``summary`` holds the counts.  Leaving the ``with`` block, an
    exception and Ctrl-C all end the thread.

    A source that is silent yields empty chunks: then windows end when their time and the grace have passed on the wall,
    so that decisions go on; events that come too late for their window are counted.  ``status`` says at any moment, and
    from any thread, how it goes.

    Args:
        recording: a ``Recording`` or an iterable of chunks, ``Events`` or structured arrays.
        program: a compiled program; it is reset first.
        encoder: a fresh ``FrameEncoder``.
        policy: what a full queue does: "block" the reader, drop the window that waited longest ("drop-oldest"), or the
            one that comes ("drop-newest"); drops are counted.  By default a live source drops the oldest, anything
            else blocks.  The writer of a pipe is made to wait for as long as its windows come before their time.
        pace: "max" as fast as it goes, or "real": a window is handed over when its recorded time has passed; a live
            source has its own pace.  By default "max".
        speed: instead, how much faster than recorded time passes, as 0.1 or 2; latencies stay those of the wall.
        queue_size: windows that may wait; where the graph takes more than these in one call, as many as it takes.
        block: windows that the program may take in one call, if they wait; decisions do not depend on it.
        readout: "mean" or "sum" of the outputs since the start of the segment, the "last" output, or the "leaky" mean,
            which forgets (``Readout``).  By default "leaky" for a live source, else "mean".
        readout_time: time constant of "leaky" [µs], by default 1 s.
        grace: how long a window of a silent source waits for events that are on their way [µs]; and how long the model
            may take to make up for what then comes at once, before windows are dropped.
        budget: how long after its window was complete a decision may come [µs]; what comes later is counted.
        segment: windows that are judged as one, from fresh states; by default the whole stream is one segment.
        confidence: a margin above it is an early decision: the rest of the segment is counted and left out, and
            without ``segment`` the stream ends.
        labels: names of the classes.
        warm_up: run the program once on an empty window and reset it before the clock starts, because runtimes load
            and compile on their first step; the summary says how long that took.
        record: nodes whose rates ``observe`` wants.
        observe: called with each ``Observation`` after its decision was timed.

    Raises:
        InputError: an argument is unknown, or the recording is of another sensor than the encoder's.
    """

    def __init__(
        self,
        recording: Recording | Iterable[Events | npt.NDArray[Any]],
        program: StreamProgram,
        encoder: FrameEncoder,
        policy: str | None = None,
        pace: str | None = None,
        queue_size: int = QUEUE_SIZE,
        block: int = 1,
        readout: str | None = None,
        readout_time: int | None = None,
        grace: int = GRACE,
        budget: int | None = None,
        segment: int | None = None,
        confidence: float | None = None,
        labels: Sequence[str] | None = None,
        warm_up: bool = True,
        record: Sequence[str] = (),
        observe: Callable[[Observation], None] | None = None,
        speed: float | None = None,
    ) -> None:
        self._stop = threading.Event()
        self._speed = replay_speed(pace, speed)
        self._windows = Arriving(recording, encoder, self._speed, grace, self._stop)
        live = self._windows.live
        self._policy = one_of(policy or ("drop-oldest" if live else "block"), "policy", POLICIES)
        self._readout_name = one_of(readout or ("leaky" if live else "mean"), "readout", READOUTS)
        self._readout_time = _readout_time(self._readout_name, readout_time)
        if isinstance(recording, Recording):
            check_same_sensor(recording, encoder.sensor_size)
        self._recording, self._program, self._encoder = recording, program, encoder
        self._calls = Calls(program, encoder.frames_per_window, record)
        self._most = max(self._calls.unit, whole_number(block, "block", 1, 1 << 16))
        queue_size = max(whole_number(queue_size, "queue_size", 1, 1 << 24), self._calls.unit)
        self._segments = Segments(segment, confidence)
        self._labels, self._warm_up = labels, warm_up
        self._observe = observe
        self._readout = Readout(self._readout_name, self._readout_time or READOUT_TIME)
        self._budget = None if budget is None else whole_number(budget, "budget", 1, 1 << 40)
        self._queue = WindowQueue(queue_size, self._policy, grace / 1e6, self._segments.number_of)
        name = recording.name if isinstance(recording, Recording) else "events"
        self._log = StreamLog(name, None if budget is None else budget / 1e3)
        self._thread: threading.Thread | None = None
        self._times: deque[tuple[float, float, float, float]] = deque(maxlen=KEPT_LATENCIES)
        """Latency, holding, queueing and computing [ms] of each decision."""
        self._working_since: float | None = None
        """When the first window that the program works on was complete."""
        self._lag = 0.0
        self._decisions = self._over_budget = 0
        self._warm_up_seconds = self._began = self._ended = 0.0
        self._complete = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Decision]:
        """Yields one decision a window, as soon as it is made.

        Raises:
            NirbridgeError: what the reader or the encoder found wrong, after the decisions on everything before it.
            ExecutionError: the program failed, or gave something else than numbers.
        """
        if self._thread is not None:
            raise InputError("stream", "was started before", "Make a new one")
        self._prepare()
        self._log.began(self._policy, self._readout_name)
        self._began = self._windows.start()
        self._thread = threading.Thread(target=self._produce, name="nirbridge-events", daemon=True)
        self._thread.start()
        try:
            while not self._segments.all_done and (items := self._queue.get(self._calls.unit, self._most)):
                yield from self._judge(self._segments.number_of(items[0].window), items)
                self._log.look(lambda: self.status)
            self._complete = self._segments.all_done or not self._stop.is_set()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the reading thread and waits for it; harmless when repeated."""
        self._stop.set()
        self._queue.close()
        # A generator has a close too, but it may not be called while another thread runs it.
        if not isinstance(self._recording, Generator) and hasattr(self._recording, "close"):
            self._recording.close()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        self._ended = self._ended or time.perf_counter()
        self._log.ended(lambda: self.status, lambda: self.summary)

    @property
    def summary(self) -> StreamSummary:
        """The counts up to now, or up to the end."""
        report, times = asdict(self._encoder.report), self._times.copy()
        del report["empty_windows"]
        seconds = (self._ended or time.perf_counter()) - self._began if self._began else 0.0
        return StreamSummary(
            **report,
            decisions=self._decisions,
            dropped_windows=self._queue.dropped_windows,
            dropped_events=self._queue.dropped_events,
            skipped_windows=self._segments.skipped_windows + self._queue.left_windows,
            skipped_events=self._segments.skipped_events + self._queue.left_events,
            early_decisions=self._segments.early,
            warm_up_s=round(self._warm_up_seconds, 6),
            seconds=round(seconds, 6),
            events_per_s=round(report["events"] / seconds, 1) if seconds else 0.0,
            latency_ms=percentiles([each[0] for each in times]),
            hold_ms=percentiles([each[1] for each in times]),
            queue_ms=percentiles([each[2] for each in times]),
            compute_ms=percentiles([each[3] for each in times]),
            latency_from=self._windows.latency_from,
            speed=self._speed,
            over_budget=None if self._budget is None else self._over_budget,
            policy=self._policy,
            readout=self._readout_name,
            readout_time_us=self._readout_time,
            interrupted=not self._complete,
            source=self._recording.report.to_dict() if isinstance(self._recording, Recording) else None,
        )

    @property
    def status(self) -> StreamStatus:
        """How it goes at this moment."""
        now, report = time.perf_counter(), self._encoder.report
        source = self._recording.report if isinstance(self._recording, Recording) else None
        lost = {} if source is None else source.lost
        since, silent = self._working_since or self._queue.oldest, self._windows.silent_for(now)
        return StreamStatus(
            decisions=self._decisions,
            lag_ms=round(self._lag if since is None else (now - since) * 1e3, 3),
            latency_ms=round(self._times[-1][0], 3) if self._times else 0.0,
            latency_from=self._windows.latency_from,
            over_budget=self._over_budget,
            dropped_windows=self._queue.dropped_windows,
            late=report.late + (source.late_events if source else 0),
            outside=report.outside + (source.outside_events if source else 0),
            malformed=sum(lost.values()),
            policy=self._policy,
            gap_windows=report.gap_windows,
            resyncs=source.resyncs if source else 0,
            silent_s=None if silent is None else round(silent, 1),
            lost=lost,
            notices=source.notices if source else (),
        )

    def _prepare(self) -> None:
        """Brings the program to its initial state, warm."""
        self._program.reset()
        if self._warm_up:
            began = time.perf_counter()
            self._check_labels(self._calls.warm_up(self._encoder.frame_shape))
            self._warm_up_seconds = time.perf_counter() - began

    def _check_labels(self, scores: int) -> None:
        if self._labels is not None and len(self._labels) != scores:
            found = f"{len(self._labels)} names for {scores} outputs of the model"
            raise InputError("labels", found, "Give one name for each output")

    def _produce(self) -> None:
        """The reading thread: whatever ends it, the queue hears of it."""
        error: BaseException | None = None
        try:
            for window in self._windows:
                if not self._queue.put(window):
                    break
        except BaseException as problem:
            error = problem
        self._queue.end(error)

    def _judge(self, segment: int, items: list[Ready]) -> Iterator[Decision]:
        """The decisions on windows of one segment, which the program takes in one call."""
        if self._segments.enter(segment):
            self._program.reset()
            self._readout.reset()
        if self._segments.skips(items):
            return
        taken, self._working_since = time.perf_counter(), items[0].complete
        results = self._calls.run([item.window for item in items])
        self._working_since = None
        for item, (outputs, records) in zip(items, results, strict=True):
            if self._segments.skips([item]):
                continue
            decision = self._decide(segment, item, taken, self._readout.add(outputs, item.window.t_end))
            if self._observe is not None:
                rates = {name: spike_rate(record) for name, record in records.items()}
                self._observe(Observation(item.window, decision, rates))
            yield decision

    def _decide(self, segment: int, item: Ready, taken: float, scores: Scores) -> Decision:
        window = item.window
        self._check_labels(len(scores))
        best, margin = decide(scores)
        now = time.perf_counter()
        latency, held = (now - item.over) * 1e3, (item.complete - item.over) * 1e3
        queued, computed = (taken - item.complete) * 1e3, (now - taken) * 1e3
        self._times.append((latency, held, queued, computed))
        self._lag = queued + computed
        self._decisions += 1
        self._over_budget += self._budget is not None and self._lag > self._budget / 1e3
        early = self._segments.passes(margin)
        if early:
            self._segments.finish()
        return Decision(
            t_us=window.t_end,
            window=window.index,
            predicted=best,
            label=None if self._labels is None else self._labels[best],
            scores=tuple(scores.tolist()),
            margin=margin,
            latency_ms=round(latency, 3),
            hold_ms=round(held, 3),
            queue_ms=round(queued, 3),
            compute_ms=round(computed, 3),
            events=window.events,
            dropped_windows=self._queue.dropped_windows,
            dropped_events=self._queue.dropped_events,
            early=early,
            segment=segment,
        )


def _readout_time(readout: str, given: int | None) -> int | None:
    """The time constant of a readout [µs].

    Raises:
        InputError: it has none, or the constant is out of range.
    """
    if readout != "leaky":
        if given is not None:
            raise InputError("readout_time", f"goes with readout 'leaky', not with '{readout}'", "Leave it away")
        return None
    return whole_number(READOUT_TIME if given is None else given, "readout_time", 1, 1 << 40)
