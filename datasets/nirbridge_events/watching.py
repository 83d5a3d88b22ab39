"""How a stream does while it runs, and what of it a user should hear of at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

INTERVAL = 2.0
"""Seconds between two warnings of the same kind."""
SILENCE = 5.0
"""Seconds without an event after which a live source counts as silent."""


@dataclass(frozen=True)
class StreamStatus:
    """A stream at one moment.

    Attributes:
        decisions: decisions made.
        lag_ms: how long ago the window was complete that the model works on or that waits longest; else how long after
            it was complete the last one was decided.
        latency_ms: from the end of the last decided window to its decision.
        latency_from: what that counts from, a key of ``decisions.LATENCY_FROM``.
        over_budget: decisions that came later than the budget after their window was complete.
        dropped_windows: windows dropped by the policy.
        late: events that came too late for their window or to be put in order.
        outside: events outside the sensor.
        malformed: what the source lost or could not read, all kinds together.
        policy: what a full queue does.
        gap_windows: empty windows that were left out.
        resyncs: leaps of the source's clock.
        silent_s: seconds since the last event of a live source, or since the start; None for a recording.
        lost: what the source lost or could not read, by kind.
        notices: what else there is to say.
    """

    decisions: int
    lag_ms: float
    latency_ms: float
    latency_from: str
    over_budget: int
    dropped_windows: int
    late: int
    outside: int
    malformed: int
    policy: str
    gap_windows: int
    resyncs: int
    silent_s: float | None
    lost: dict[str, int]
    notices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The status as plain data."""
        return asdict(self)


class Watch:
    """Turns what goes wrong into lines, the first at once, later ones of its kind not more often than ``INTERVAL``.

    Args:
        name: what the source is called.
        budget_ms: how long after its window was complete a decision may come; None for any time.
    """

    def __init__(self, name: str, budget_ms: float | None) -> None:
        self._name, self._budget = name, budget_ms
        self._said: dict[str, tuple[float, int]] = {}
        self._silent = False

    def lines(self, status: StreamStatus, now: float) -> list[str]:
        """What to say at ``now`` [s]."""
        lines = [f"{self._name}: {notice}." for notice in status.notices if self._is_new(f"notice {notice}", 1, now)]
        lines += self._lag(status, now)
        for kind, count in self._counts(status).items():
            before = self._said.get(kind, (0.0, 0))[1]
            if self._is_new(kind, count, now):
                more = f" (+{count - before})" if before else ""
                lines.append(f"{self._name}: {count} {kind}{more}.")
        return lines + self._silence(status)

    def _counts(self, status: StreamStatus) -> dict[str, int]:
        return {
            "events came too late and were left out; --grace waits for late ones, --jitter sorts them": status.late,
            "windows were dropped, because more came than the model took in time": status.dropped_windows,
            "events outside the sensor were left out": status.outside,
            "empty windows of long gaps were left out": status.gap_windows,
            "times the clock leapt; the stream was joined on without the leap": status.resyncs,
            **status.lost,
        }

    def _is_new(self, kind: str, count: int, now: float) -> bool:
        """Whether a count grew and may be said again."""
        at, before = self._said.get(kind, (-INTERVAL, 0))
        if count <= before or now - at < INTERVAL:
            return False
        self._said[kind] = (now, count)
        return True

    def _lag(self, status: StreamStatus, now: float) -> list[str]:
        if self._budget is None:
            return []
        # What is over the budget now is counted when it is decided.
        late = status.over_budget + (status.lag_ms > self._budget)
        if not self._is_new("lag", late, now):
            return []
        found = f"{late} decisions came more than {self._budget:g} ms after their window was complete"
        other = ", or --policy drop-oldest" if status.policy == "block" else ""
        return [
            f"{self._name}: {found}, now {status.lag_ms:.0f} ms. Use a larger --window or a faster --runtime{other}."
        ]

    def _silence(self, status: StreamStatus) -> list[str]:
        silent = status.silent_s is not None and status.silent_s >= SILENCE
        begins, self._silent = silent and not self._silent, silent
        return [f"{self._name}: silent, no event since {status.silent_s:.0f} s."] if begins else []
