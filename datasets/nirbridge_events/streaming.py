"""A recording streamed through a compiled network: one decision a window."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.decisions import READOUTS, Decision, Readout, StreamSummary, decide, percentiles
from nirbridge_events.encoding import FrameEncoder, check_same_sensor
from nirbridge_events.events import Events
from nirbridge_events.recording import Recording
from nirbridge_events.window_queue import POLICIES, Ready, WindowQueue

PACES = ("max", "real")
QUEUE_SIZE = 8


class StepProgram(Protocol):
    """The part of a compiled program that streaming needs."""

    def step(self, frame: npt.NDArray[np.float32]) -> Any:
        """One frame [1, P, H, W] in, one output [1, *out] out; the state carries over."""

    def reset(self) -> None:
        """Back to the initial state."""


class Stream:
    """Reads and encodes in one thread, runs the network in the caller's, with a bounded queue between them.

    Iterate over it once to get the decisions; then ``summary`` holds the counts.  Leaving the ``with`` block, an
    exception and Ctrl-C all end the thread.

    Args:
        recording: a ``Recording`` or an iterable of chunks.
        program: a compiled program; it is reset first.
        encoder: a fresh ``FrameEncoder``.
        policy: what a full queue does: "block" the reader, or "drop-oldest" window, which is counted.
        pace: "max" as fast as it goes, or "real": a window is handed over when its recorded time has passed.
        queue_size: windows that may wait.
        readout: "mean" or "sum" of the outputs since the start, or the "last" output.
        labels: names of the classes.
        warm_up: run the program once on an empty frame and reset it before the clock starts, because runtimes load
            and compile on their first step; the summary says how long that took.

    Raises:
        InputError: an argument is unknown, or the recording is of another sensor than the encoder's.
    """

    def __init__(
        self,
        recording: Recording | Iterable[Events],
        program: StepProgram,
        encoder: FrameEncoder,
        policy: str = "block",
        pace: str = "max",
        queue_size: int = QUEUE_SIZE,
        readout: str = "mean",
        labels: Sequence[str] | None = None,
        warm_up: bool = True,
    ) -> None:
        for name, value, known in (("policy", policy, POLICIES), ("pace", pace, PACES), ("readout", readout, READOUTS)):
            if value not in known:
                raise InputError(name, f"'{value}' is unknown; known are {', '.join(known)}", "Choose one of them")
        if queue_size < 1:
            raise InputError("queue_size", f"{queue_size} is less than 1", "Give at least 1")
        if isinstance(recording, Recording):
            check_same_sensor(recording, encoder.sensor_size)
        self._recording, self._program, self._encoder = recording, program, encoder
        self._real = pace == "real"
        self._labels = labels
        self._warm_up = warm_up
        self._warm_up_seconds = 0.0
        self._readout = Readout(readout)
        self._queue = WindowQueue(queue_size, policy)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._latencies: array[float] = array("d")
        self._began = self._ended = 0.0
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
        self._began = time.perf_counter()
        self._thread = threading.Thread(target=self._produce, name="nirbridge-events", daemon=True)
        self._thread.start()
        try:
            while (item := self._queue.get()) is not None:
                yield self._decide(item)
            self._complete = not self._stop.is_set()
        finally:
            self.close()

    def close(self) -> None:
        """Ends the reading thread and waits for it; harmless when repeated."""
        self._stop.set()
        self._queue.close()
        if self._thread is not None and self._thread.is_alive():
            self._thread.join()
        self._ended = self._ended or time.perf_counter()

    @property
    def summary(self) -> StreamSummary:
        """The counts up to now, or up to the end."""
        report = self._encoder.report
        seconds = (self._ended or time.perf_counter()) - self._began if self._began else 0.0
        return StreamSummary(
            windows=report.windows,
            events=report.events,
            decisions=len(self._latencies),
            dropped_windows=self._queue.dropped_windows,
            dropped_events=self._queue.dropped_events,
            partial_events=report.partial_events,
            pending_events=report.pending_events,
            saturated=report.saturated,
            outside=report.outside,
            warm_up_s=round(self._warm_up_seconds, 6),
            seconds=round(seconds, 6),
            events_per_s=round(report.events / seconds, 1) if seconds else 0.0,
            latency_ms=percentiles(self._latencies),
            interrupted=not self._complete,
        )

    def _prepare(self) -> None:
        """Brings the program to its initial state, warm."""
        self._program.reset()
        if self._warm_up:
            began = time.perf_counter()
            self._program.step(np.zeros((1, *self._encoder.frame_shape), dtype=np.float32))
            self._program.reset()
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
        first: int | None = None
        for window in self._encoder.encode(self._recording):
            first = window.t_start if first is None else first
            completed = time.perf_counter()
            if self._real:
                # Late windows keep their due time, so that latency shows a reader that cannot keep up.
                due = self._began + (window.t_end - first) / 1e6
                if self._stop.wait(max(0.0, due - completed)):
                    return
                completed = due
            if not self._queue.put(Ready(window, completed)):
                return

    def _decide(self, item: Ready) -> Decision:
        window = item.window
        scores = self._readout.add(self._program.step(window.frame[np.newaxis]))
        if self._labels is not None and len(self._labels) != len(scores):
            found = f"{len(self._labels)} names for {len(scores)} outputs of the model"
            raise InputError("labels", found, "Give one name for each output")
        best, margin = decide(scores)
        latency = (time.perf_counter() - item.completed) * 1e3
        self._latencies.append(latency)
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
        )
