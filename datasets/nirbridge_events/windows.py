"""What encoding gives: finished windows, and a report on every event."""

from __future__ import annotations

from dataclasses import dataclass

from nirbridge_events.pixels import FloatFrame


@dataclass
class EncodeReport:
    """What became of the events.

    Attributes:
        events: events taken in; each is in a frame unless counted as ``outside`` or ``before_start``.
        outside: events outside the sensor, left out (only with ``outside="count"``).
        before_start: events before ``start``, left out.
        windows: frames made.
        empty_windows: frames among them without any event.
        saturated: values cut to what a frame can hold: the highest lane of "one-hot", 2^24 of "count".
        partial_events: events in the last window, which the end of the stream cut short.
        pending_events: events taken in whose window is not finished; 0 at the end, unless the stream broke off.
    """

    events: int = 0
    outside: int = 0
    before_start: int = 0
    windows: int = 0
    empty_windows: int = 0
    saturated: int = 0
    partial_events: int = 0
    pending_events: int = 0


@dataclass(frozen=True)
class Window:
    """One finished frame.

    Attributes:
        frame: float32 [P, H, W].
        index: number of the window on the grid, from 0.
        t_start: first µs of the window.
        t_end: first µs after the window.
        events: number of events in it.
    """

    frame: FloatFrame
    index: int
    t_start: int
    t_end: int
    events: int
