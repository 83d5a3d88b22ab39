"""A recording or a live source streamed through a compiled network: one decision a window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from nirbridge.errors import InputError
from nirbridge_events.calls import Calls, StreamProgram, spike_rate
from nirbridge_events.decisions import READOUTS, Decision, Readout, Scores, StreamSummary, decide, percentiles
from nirbridge_events.encoding import FrameEncoder, check_same_sensor
from nirbridge_events.events import Events
from nirbridge_events.pacing import PACES, Pacer, SilentClock
from nirbridge_events.recording import Recording
from nirbridge_events.segments import Segments
from nirbridge_events.settings import one_of, whole_number
from nirbridge_events.window_queue import POLICIES, Ready, WindowQueue
from nirbridge_events.windows import Window

QUEUE_SIZE = 8
KEPT_LATENCIES = 1 << 20
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

    A source that is silent yields empty chunks: then windows end when their time has passed on the wall, so that
    decisions go on; events that come too late for their window are counted.

    Args:
        recording: a ``Recording`` or an iterable of chunks.
        program: a compiled program; it is reset first.
        encoder: a fresh ``FrameEncoder``.
        policy: what a full queue does: "block" the reader, drop the window that waited longest ("drop-oldest"), or the
            one that comes ("drop-newest"); drops are counted.
        pace: "max" as fast as it goes, or "real": a window is handed over when its recorded time has passed.
        queue_size: windows that may wait.
        block: windows that the program may take in one call, if they wait; decisions do not depend on it.
        readout: "mean" or "sum" of the outputs since the start of the segment, or the "last" output.
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
        recording: Recording | Iterable[Events],
        program: StreamProgram,
        encoder: FrameEncoder,
        policy: str = "block",
        pace: str = "max",
        queue_size: int = QUEUE_SIZE,
        block: int = 1,
        readout: str = "mean",
        segment: int | None = None,
        confidence: float | None = None,
        labels: Sequence[str] | None = None,
        warm_up: bool = True,
        record: Sequence[str] = (),
        observe: Callable[[Observation], None] | None = None,
    ) -> None:
        for name, value, known in (("policy", policy, POLICIES), ("pace", pace, PACES), ("readout", readout, READOUTS)):
            one_of(value, name, tuple(known))
        if isinstance(recording, Recording):
            check_same_sensor(recording, encoder.sensor_size)
        self._recording, self._program, self._encoder = recording, program, encoder
        self._calls = Calls(program, encoder.frames_per_window, record)
        self._most = max(self._calls.unit, whole_number(block, "block", 1, 1 << 16))
        queue_size = max(whole_number(queue_size, "queue_size", 1, 1 << 24), self._most)
        self._queue = WindowQueue(queue_size, policy)
        self._segments = Segments(segment, confidence)
        self._labels, self._warm_up = labels, warm_up
        self._observe = observe
        self._readout = Readout(readout)
        self._stop = threading.Event()
        self._pacer = Pacer(pace, self._stop)
        self._silence = SilentClock()
        self._thread: threading.Thread | None = None
        self._latencies: deque[float] = deque(maxlen=KEPT_LATENCIES)
        self._decisions = 0
        self._warm_up_seconds = self._began = self._ended = 0.0
        self._complete = False

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
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
        self._began = self._pacer.start()
        self._thread = threading.Thread(target=self._produce, name="nirbridge-events", daemon=True)
        self._thread.start()
        try:
            while not self._segments.all_done and (items := self._queue.get(self._calls.unit, self._most)):
                for segment, group in self._segments.split(items):
                    yield from self._judge(segment, group)
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

    @property
    def summary(self) -> StreamSummary:
        """The counts up to now, or up to the end."""
        report = self._encoder.report
        seconds = (self._ended or time.perf_counter()) - self._began if self._began else 0.0
        return StreamSummary(
            windows=report.windows,
            events=report.events,
            decisions=self._decisions,
            dropped_windows=self._queue.dropped_windows,
            dropped_events=self._queue.dropped_events,
            skipped_windows=self._segments.skipped_windows + self._queue.left_windows,
            skipped_events=self._segments.skipped_events + self._queue.left_events,
            early_decisions=self._segments.early,
            partial_events=report.partial_events,
            pending_events=report.pending_events,
            saturated=report.saturated,
            outside=report.outside,
            cropped=report.cropped,
            late=report.late,
            before_start=report.before_start,
            after_end=report.after_end,
            warm_up_s=round(self._warm_up_seconds, 6),
            seconds=round(seconds, 6),
            events_per_s=round(report.events / seconds, 1) if seconds else 0.0,
            latency_ms=percentiles(self._latencies),
            interrupted=not self._complete,
            source=self._recording.report.to_dict() if isinstance(self._recording, Recording) else None,
        )

    def _prepare(self) -> None:
        """Brings the program to its initial state, warm."""
        self._program.reset()
        if self._warm_up:
            began = time.perf_counter()
            self._calls.warm_up(self._encoder.frame_shape)
            self._warm_up_seconds = time.perf_counter() - began

    def _produce(self) -> None:
        """The reading thread: whatever ends it, the queue hears of it."""
        error: BaseException | None = None
        try:
            self._feed_queue()
        except BaseException as problem:
            error = problem
        self._queue.end(error)

    def _feed_queue(self) -> None:
        for window in self._windows():
            completed = self._pacer.wait(window.t_start, window.t_end)
            if not self._queue.put(Ready(window, completed)):
                return

    def _windows(self) -> Iterator[Window]:
        for chunk in self._recording:
            if self._stop.is_set():
                return
            if self._encoder.ended and getattr(self._recording, "live", False):
                break
            if len(chunk):
                yield from self._encoder.windows(chunk)
                self._silence.heard(int(chunk.t[-1]))
            elif (now := self._silence.now()) is not None:
                # Events that a source holds back to sort them are still to come.
                yield from self._encoder.windows_until(now - getattr(self._recording, "jitter", 0))
        yield from self._encoder.finish_windows()

    def _judge(self, segment: int, items: list[Ready]) -> Iterator[Decision]:
        """The decisions on windows of one segment, which the program takes in one call."""
        if self._segments.enter(segment):
            self._program.reset()
            self._readout.reset()
        if self._segments.skips(items):
            return
        for item, (outputs, records) in zip(items, self._calls.run([item.window for item in items]), strict=True):
            if self._segments.skips([item]):
                continue
            decision = self._decide(segment, item, self._readout.add(outputs))
            if self._observe is not None:
                rates = {name: spike_rate(record) for name, record in records.items()}
                self._observe(Observation(item.window, decision, rates))
            yield decision

    def _decide(self, segment: int, item: Ready, scores: Scores) -> Decision:
        window = item.window
        if self._labels is not None and len(self._labels) != len(scores):
            found = f"{len(self._labels)} names for {len(scores)} outputs of the model"
            raise InputError("labels", found, "Give one name for each output")
        best, margin = decide(scores)
        latency = (time.perf_counter() - item.completed) * 1e3
        self._latencies.append(latency)
        self._decisions += 1
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
            events=window.events,
            dropped_windows=self._queue.dropped_windows,
            dropped_events=self._queue.dropped_events,
            early=early,
            segment=segment,
        )
