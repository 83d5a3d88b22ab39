"""What encoding gives: finished windows, and a report on every event."""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass
from math import prod

import numpy as np

from nirbridge.errors import InputError
from nirbridge_events.pixels import FloatFrame

MOST_RESERVED = 1 << 30
"""Values of the frames of a recording, 4 GiB, for which room is made at once; more than that grows."""

LARGE = 1 << 25
"""Bytes from which on memory comes from the system; C libraries keep what is smaller and was freed."""


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


class Collected:
    """The frames of all windows of a recording in one array, which windows are given to be written into.

    Args:
        shape: (K, P, H, W) of the frames of a window.
        windows: how many are expected.  Memory that was not written to costs nothing.
    """

    def __init__(self, shape: tuple[int, ...], windows: int) -> None:
        self._count, self._given, self._shape = 0, 0, shape
        self._all, self._cleared = _room((windows, *shape))

    def zeros(self) -> FloatFrame:
        """The place of the next window, cleared."""
        untouched = self._cleared and self._given <= self._count
        place = self.empty()
        if not untouched:
            place.fill(0)
        return place

    def empty(self) -> FloatFrame:
        """The place of the next window, with anything in it."""
        if self._count == len(self._all):
            full = self._all
            self._all, self._cleared = _room((2 * self._count, *self._shape))
            self._all[: self._count] = full
        place: FloatFrame = self._all[self._count]
        self._given = self._count + 1
        return place

    def keep(self, frames: FloatFrame) -> None:
        """Takes the frames of the next window, wherever they lie."""
        place = self.empty()
        if not np.may_share_memory(place, frames):
            place[:] = frames
        self._count += 1

    @property
    def frames(self) -> FloatFrame:
        """[T·K, P, H, W] of the windows kept so far."""
        kept: FloatFrame = self._all[: self._count]
        return kept.reshape(-1, *self._shape[1:])


def _room(shape: tuple[int, ...]) -> tuple[FloatFrame, bool]:
    """Memory for frames, and whether it holds zeros.

    What is large comes from the system, as zeros, in huge pages if it has them: to fault in small ones takes thrice as
    long.  numpy asks for them for empty memory alone.  Smaller memory mostly was used before, and is cheap to clear.
    """
    size = 4 * prod(shape)
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.empty(shape, dtype=np.float32), False
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:
        raise MemoryError(f"{size / 2**30:.1f} GiB of frames") from None
    with suppress(OSError):  # a kernel may have none
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype=np.float32).reshape(shape), True
