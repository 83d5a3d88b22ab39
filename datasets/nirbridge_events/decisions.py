"""From outputs of a network to decisions, and what a stream reports at its end."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import ExecutionError, InputError

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
        partial_events: events in the last window, which the end of the recording cut short.
        pending_events: events taken in whose window never ended, because the stream broke off.
        saturated: values cut to what a frame can hold.
        outside: events outside the sensor.
        warm_up_s: wall time of the step before the start that loaded and compiled the program, 0 without one.
        seconds: wall time from the start to the end.
        events_per_s: events / seconds.
        latency_ms: percentiles 50, 95 and 99 of the latency, as {"p50": ..}; None without decisions.
        interrupted: whether the stream was stopped before its end.
    """

    windows: int
    events: int
    decisions: int
    dropped_windows: int
    dropped_events: int
    partial_events: int
    pending_events: int
    saturated: int
    outside: int
    warm_up_s: float
    seconds: float
    events_per_s: float
    latency_ms: dict[str, float] | None
    interrupted: bool

    def to_dict(self) -> dict[str, Any]:
        """The summary as plain data."""
        return asdict(self)


class Readout:
    """Scores since the start: total / steps ("mean"), total ("sum") or the last output ("last")."""

    def __init__(self, name: str) -> None:
        self._read = READOUTS[name]
        self._total: Scores | float = 0.0
        self._steps = 0

    def add(self, output: npt.ArrayLike | Mapping[str, npt.ArrayLike]) -> Scores:
        """Takes the output [1, *out] of a step and returns the scores [n], flattened.

        Raises:
            ExecutionError: an output is not a finite number.
            InputError: there are several outputs.
        """
        if isinstance(output, Mapping):
            raise InputError("model", f"has {len(output)} outputs: {', '.join(output)}", "Use a model with one output")
        last = np.asarray(output, dtype=np.float64).ravel()
        if not len(last) or not np.isfinite(last).all():
            raise ExecutionError(
                f"step {self._steps}",
                "the output of the program is not all finite numbers",
                "Check the model",
            )
        self._steps += 1
        self._total = self._total + last
        return self._read(self._total, last, self._steps)


def decide(scores: Scores) -> tuple[int, float]:
    """The class with the highest score, and its margin over the next; the margin of a lone score is the score."""
    best = int(scores.argmax())
    others = np.delete(scores, best)
    return best, float(scores[best] - others.max()) if len(others) else float(scores[best])


def percentiles(latencies: array[float] | Sequence[float]) -> dict[str, float] | None:
    """The latency percentiles of a summary."""
    if not len(latencies):
        return None
    values = np.percentile(np.asarray(latencies), PERCENTILES)
    return {f"p{p}": round(float(value), 3) for p, value in zip(PERCENTILES, values, strict=True)}
