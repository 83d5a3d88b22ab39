"""What a pass over a recording or a live source met, and how it is said."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from typing import Any

from nirbridge_events.filters.chain import FilterReport
from nirbridge_events.readers.order import JUMP


class LossWarning(UserWarning):
    """Events of a recording were left out, or it is cut; the message has their number."""


@dataclass(frozen=True)
class ReadReport:
    """What a pass met, up to now.

    Attributes:
        events: events yielded, those that filters took out not among them.
        sorted_events: events whose times went back by no more than the jitter, and were put in their place.
        late_events: events whose times went back by more than the jitter, left out.
        ahead_events: events whose times were ahead of most that followed, left out.
        outside_events: events outside the sensor, left out.
        longest_back_us: the furthest that a time of those left out went back.
        wraps: how often a counter of time started again.
        jumps: steps forward of more than a second.
        longest_jump_us: the longest of them.
        resyncs: leaps of a live source's clock that were joined on.
        skipped: words that carry no event, by kind.
        lost: what a live source lost or refused, and what of a file was not read or left out, by kind.
        notices: what else a user should know, one clause each.
        filters: what each filter took out, in their order.
    """

    events: int = 0
    sorted_events: int = 0
    late_events: int = 0
    ahead_events: int = 0
    outside_events: int = 0
    longest_back_us: int = 0
    wraps: int = 0
    jumps: int = 0
    longest_jump_us: int = 0
    resyncs: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    filters: tuple[FilterReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The counts as plain data."""
        return asdict(self)

    def losses(self) -> list[str]:
        """What was left out or lost, one clause each, without the source's name."""
        back, restarts = f"{self.longest_back_us / 1e6:.3g} s", self.longest_back_us > JUMP
        counts = (
            (self.late_events, f"{self.late_events} events came too late and were left out"),
            (self.ahead_events, f"{self.ahead_events} events with times ahead of those that follow were left out"),
            (restarts, f"times go back by up to {back}, as if the clock had started again; kept is one run of it"),
            (self.outside_events, f"{self.outside_events} events outside the sensor were left out"),
        )
        lines = [text for count, text in counts if count]
        return lines + [f"{count} {kind}" for kind, count in sorted(self.lost.items())]

    def warn(self, name: str) -> None:
        """Says what was left out or lost, to whoever has no report of it."""
        for line in self.losses():
            warnings.warn(f"{name}: {line}.", LossWarning, stacklevel=3)

    def lines(self) -> list[str]:
        """What a user should know, one clause each, without the source's name."""
        longest = f"{self.longest_jump_us / 1e6:.3g} s"
        counts = (
            (self.sorted_events, f"{self.sorted_events} events came out of order and were sorted"),
            (self.wraps, f"the counter of time started again {self.wraps} times"),
            (self.jumps, f"time jumps forward {self.jumps} times, by {longest} at most"),
            (self.resyncs, f"the clock leapt {self.resyncs} times; the stream was joined on without the leap"),
        )
        lines = [text for count, text in counts if count]
        lines += [f"{count} {kind} carry no event" for kind, count in sorted(self.skipped.items())]
        filtered = [line for one in self.filters for line in one.lines()]
        return [*lines, *self.losses(), *self.notices, *filtered]
