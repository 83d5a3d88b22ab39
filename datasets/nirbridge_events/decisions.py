"""From outputs of a network to decisions, and what a stream reports at its end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import ExecutionError

Scores = npt.NDArray[np.float64]

PERCENTILES = (50, 95, 99)
READOUTS: dict[str, Callable[[Scores, Scores, int], Scores]] = {
    "mean": lambda total, _last, steps: total / steps,
    "sum": lambda total, _last, _steps: total,
    "last": lambda _total, last, _steps: last,
}


@dataclass(frozen=True)
class Decision:
    """What the network says after a window.

    Attributes:
        t_us: first µs after the window, on the recording's clock.
        window: number of the window.
        predicted: class with the highest score, the first of equals.
        label: its name, if the stream knows names.
        scores: the readout, one number a class.
        margin: highest score less the second highest.
        latency_ms: wall time from the completion of the window to this decision.
        events: events in the window.
        dropped_windows: windows dropped since the start.
        dropped_events: events in them.
        early: whether the margin passed the wanted confidence, so that the rest of the segment is not looked at.
        segment: number of the segment that the window is of; 0 throughout without segments.
    """

    t_us: int
    window: int
    predicted: int
    label: str | None
    scores: tuple[float, ...]
    margin: float
    latency_ms: float
    events: int
    dropped_windows: int
    dropped_events: int
    early: bool = False
    segment: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The decision as plain data; ``predicted`` is named "class", and "label" is left out where there is none."""
        data = asdict(self)
        data["scores"] = list(self.scores)
        renamed = {("class" if key == "predicted" else key): value for key, value in data.items()}
        if self.label is None:
            del renamed["label"]
        return renamed


@dataclass(frozen=True)
class StreamSummary:
    """What a stream did.

    Attributes:
        windows: windows that the encoder finished.
        events: events that the encoder took in.
        decisions: decisions made.
        dropped_windows: windows dropped by the policy.
        dropped_events: events in them.
        skipped_windows: windows without a decision, left out after an early one or when the stream was stopped.
        skipped_events: events in them.
        early_decisions: segments that ended with an early decision.
        partial_events: events in the last window, which the end of the recording cut short.
        pending_events: events taken in whose window never ended, because the stream broke off.
        saturated: values cut to what a frame can hold.
        outside: events outside the sensor.
        cropped: events outside the crop.
        late: events of windows that were closed without them, because the source was silent.
        before_start: events before the first window.
        after_end: events after the last window.
        warm_up_s: wall time of the step before the start that loaded and compiled the program, 0 without one.
        seconds: wall time from the start to the end.
        events_per_s: events / seconds.
        latency_ms: percentiles 50, 95 and 99 of the latency, as {"p50": ..}, of the last 2^20 decisions; None without.
        interrupted: whether the stream was stopped before its end.
        source: what the reader met, as ``ReadReport`` has it: events sorted, too late or outside, wraps and jumps of
            the clock, words without event, and what a live source lost; None for chunks of one's own.
    """

    windows: int
    events: int
    decisions: int
    dropped_windows: int
    dropped_events: int
    skipped_windows: int
    skipped_events: int
    early_decisions: int
    partial_events: int
    pending_events: int
    saturated: int
    outside: int
    cropped: int
    late: int
    before_start: int
    after_end: int
    warm_up_s: float
    seconds: float
    events_per_s: float
    latency_ms: dict[str, float] | None
    interrupted: bool
    source: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        return asdict(self)


class Readout:
    """Scores since the start: total / steps ("mean"), total ("sum") or the last output ("last")."""

    def __init__(self, name: str) -> None:
        self._read = READOUTS[name]
        self.reset()

    def reset(self) -> None:
        """Forgets every output."""
        self._total: Scores | float = 0.0
        self._last: Scores = np.zeros(0)
        self._steps = 0

    def add(self, outputs: npt.ArrayLike) -> Scores:
        """Takes the outputs [K, 1, *out] of K steps, which may be 0, and returns the scores [n], flattened.

        Raises:
            ExecutionError: an output is not a finite number.
        """
        values = np.asarray(outputs, dtype=np.float64)
        values = values.reshape(len(values), int(np.prod(values.shape[1:])))
        if not values.shape[1] or not np.isfinite(values).all():
            raise ExecutionError(
                f"step {self._steps}",
                "the output of the program is not all finite numbers",
                "Check the model",
            )
        for value in values:
            self._total, self._last = self._total + value, value
        self._steps += len(values)
        if not self._steps:
            return np.zeros(values.shape[1])
        return self._read(np.asarray(self._total), self._last, self._steps)


def decide(scores: Scores) -> tuple[int, float]:
    """The class with the highest score, and its margin over the next; the margin of a lone score is the score."""
    best = int(scores.argmax())
    others = np.delete(scores, best)
    return best, float(scores[best] - others.max()) if len(others) else float(scores[best])


def percentiles(latencies: Collection[float]) -> dict[str, float] | None:
    """The latency percentiles of a summary."""
    if not len(latencies):
        return None
    values = np.percentile(np.fromiter(latencies, dtype=np.float64), PERCENTILES)
    return {f"p{p}": round(float(value), 3) for p, value in zip(PERCENTILES, values, strict=True)}
