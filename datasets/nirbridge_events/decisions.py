"""From outputs of a network to decisions, and what a stream reports at its end."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import ExecutionError

Scores = npt.NDArray[np.float64]

PERCENTILES = (50, 95, 99)
READOUTS = ("mean", "sum", "last", "leaky")
READOUT_TIME = 1_000_000
"""µs after which an output counts 1/e in a leaky mean."""
LATENCY_FROM = {
    "arrival": "from the end of the window, by the arrival of its events here",
    "pace": "from the end of the window, as the recording is replayed",
    "read": "from when the window was read, as a recording at pace max has no clock",
}
"""What a latency is counted from."""


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
        latency_ms: wall time from the end of the window to this decision; ``StreamSummary.latency_from`` says by what.
            It is the sum of the next three.
        hold_ms: how long events of it might still come: jitter, and the grace for a silent source.
        queue_ms: how long it then waited to be encoded and for the model.
        compute_ms: how long the model took, with the windows that it took in the same call.
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
    hold_ms: float
    queue_ms: float
    compute_ms: float
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
        late: events of windows that were closed without them, because the source was silent for too long.
        gap_windows: empty windows that were left out, because a gap between two events held too many.
        before_start: events before the first window.
        after_end: events after the last window.
        warm_up_s: wall time of the step before the start that loaded and compiled the program, 0 without one.
        seconds: wall time from the start to the end.
        events_per_s: events / seconds.
        latency_ms: percentiles 50, 95 and 99 of the latency, as {"p50": ..}, of the last 2^16 decisions; None without.
        hold_ms: the same of the time in which events of a window might still come.
        queue_ms: the same of the time in which a complete window waited.
        compute_ms: the same of the time that the model took.
        latency_from: what the latency counts from, a key of ``LATENCY_FROM``.
        speed: how much faster than recorded a recording was replayed; None of a live source and for as fast as it goes.
        over_budget: decisions that came later than the budget after their window was complete; None without a budget.
        policy: what a full queue did.
        readout: what the scores are.
        readout_time_us: the time constant of readout "leaky", None with another.
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
    gap_windows: int
    before_start: int
    after_end: int
    warm_up_s: float
    seconds: float
    events_per_s: float
    latency_ms: dict[str, float] | None
    hold_ms: dict[str, float] | None
    queue_ms: dict[str, float] | None
    compute_ms: dict[str, float] | None
    latency_from: str
    speed: float | None
    over_budget: int | None
    policy: str
    readout: str
    readout_time_us: int | None
    interrupted: bool
    source: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        return asdict(self)


class Readout:
    """Scores from the outputs y of windows.

    With "mean" they are Σ y / steps since the start, with "sum" Σ y, with "last" the last y.  "leaky" forgets: with
    w = exp(-age/time_constant), by the ends of windows, they are Σ w·y / Σ w over all steps.  Windows that were
    dropped age the others too.

    Args:
        name: one of ``READOUTS``.
        time_constant: of "leaky" [µs].
    """

    def __init__(self, name: str, time_constant: float = READOUT_TIME) -> None:
        self._name, self._time_constant = name, time_constant if name == "leaky" else math.inf
        self.reset()

    def reset(self) -> None:
        """Forgets every output."""
        self._total: Scores | float = 0.0
        self._last: Scores = np.zeros(0)
        self._weight = 0.0
        self._steps = 0
        self._until: int | None = None

    def add(self, outputs: npt.ArrayLike, until: int) -> Scores:
        """Takes the outputs [K, 1, *out] of the K steps, which may be 0, of a window that ends at ``until`` µs.

        Returns:
            The scores [n], flattened.

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
        if len(values):
            kept = 1.0 if self._until is None else math.exp((self._until - until) / self._time_constant)
            self._total, self._weight, self._until = kept * self._total, kept * self._weight, until
            for value in values:
                self._total, self._last = self._total + value, value
            self._weight += len(values)
            self._steps += len(values)
        if self._until is None:
            return np.zeros(values.shape[1])
        if self._name == "last":
            return self._last
        total = np.asarray(self._total)
        return total if self._name == "sum" else total / self._weight


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
