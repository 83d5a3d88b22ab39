"""What encoding gives: finished windows, and a report on every event."""

from __future__ import annotations

from dataclasses import dataclass

from nirbridge.errors import InputError
from nirbridge_events.pixels import FloatFrame


@dataclass
class EncodeReport:
    """What became of the events.

    Attributes:
        events: events taken in; each is in a frame unless counted as ``outside``, ``cropped``, ``late``,
            ``before_start`` or ``after_end``.
        outside: events outside the sensor, left out (only with ``outside="count"``).
        cropped: events outside the crop, left out.
        late: events of windows that were closed without them, left out (only with ``late="count"``).
        before_start: events before ``start``, left out.
        after_end: events at ``end`` or after it, left out.
        windows: windows made, of one frame each, or of K with coding "phase" or "voxel".
        empty_windows: windows among them without any event.
        gap_windows: empty windows that were not made, because one gap held too many (only with ``gap="count"``).
        saturated: values cut to what a frame can hold: the highest lane of "one-hot", 2^24 of "count", 2^phases - 1
            of "phase".
        partial_events: events in the last window, if ``end``, the end of the stream, or a lack of events cut it short.
        pending_events: events taken in whose window is not finished; 0 at the end, unless the stream broke off.
    """

    events: int = 0
    outside: int = 0
    cropped: int = 0
    late: int = 0
    before_start: int = 0
    after_end: int = 0
    windows: int = 0
    empty_windows: int = 0
    gap_windows: int = 0
    saturated: int = 0
    partial_events: int = 0
    pending_events: int = 0


@dataclass(frozen=True)
class Window:
    """One finished window.

    Attributes:
        frames: float32 [K, P, H, W]; K is the number of phases of coding "phase", of bins of "voxel", and 1 else.
        index: number of the window on the grid, from 0.
        t_start: first µs of the window; of a window of so many events, the time of the first.
        t_end: first µs after the window; of a window of so many events, 1 µs after the last.
        events: number of events in it.
    """

    frames: FloatFrame
    index: int
    t_start: int
    t_end: int
    events: int

    @property
    def frame(self) -> FloatFrame:
        """The frame [P, H, W] of a coding that makes one a window.

        Raises:
            InputError: the window has several.
        """
        if len(self.frames) != 1:
            raise InputError("window", f"has {len(self.frames)} frames, not one", "Use its frames")
        only: FloatFrame = self.frames[0]
        return only
