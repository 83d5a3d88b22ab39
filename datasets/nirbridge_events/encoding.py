"""Events to frames on a grid of time windows, incrementally or at once, with the same result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.codings import make_coder
from nirbridge_events.events import Events, Size, as_events, first_backwards, first_outside
from nirbridge_events.pixels import FloatFrame
from nirbridge_events.recording import Recording
from nirbridge_events.settings import (
    DEFAULT_SENSOR,
    EncoderSettings,
    EventInputLike,
    check_options,
    one_of,
    whole_number,
)
from nirbridge_events.windows import EncodeReport, Window

OUTSIDE = ("error", "count")
MAX_GAP = 10_000


class FrameEncoder:
    """Turns chunks of events into frames, one or K for each window of time.

    Window w holds the events with ``start + w·window <= t < start + (w+1)·window``.  It is split into ``subframes``
    parts, an event belonging to part ``(t - t_start)·subframes // window``.  Within part j the events of the sensor
    pixels that make up an output pixel are merged first, to r_j (``downsample``: "or" 1 if any, "sum" their number,
    "max" the number of the busiest sensor pixel); then the window is coded:

        binary   y = 1 if any r_j > 0, else 0
        count    y = Σ_j r_j, at most 2^24
        one-hot  c = Σ_j [r_j > 0];  y = 0 if c = 0, else min(2^round(log2 c), 2^(lanes-1))
        phase    K = phases frames; x_k = the digit of weight 2^(K-k) of min(r, 2^K - 1), k = 1..K
        voxel    B = bins frames; y_b = Σ_i max(0, 1 - |b - (B-1)(t_i - t_start)/window|) over the events i

    Phase-coded frames decode as Σ_k 2^-k x_k = r / 2^K, most significant digit first.  "phase" and "voxel" have one
    part.  Without downsampling, "count" and "phase" count every event, whatever ``downsample`` says.  With polarity
    "signed" each polarity is coded by itself and y = y_ON - y_OFF.  A value that does not fit is cut and counted.

    Args:
        sensor_size: (width, height) of the sensor.
        window: length of a window in µs.
        coding: "binary", "count", "one-hot", "phase" or "voxel".
        start: time in µs where window 0 begins; by default the time of the first event.
        outside: what an event outside the sensor is: an "error", or left out and put into the report ("count").
        late: the same for an event of a window that ``windows_until`` closed.
        max_gap: how many windows without any event may follow each other; more means a broken clock.
        options: ``lanes``, ``subframes``, ``size``, ``downsample``, ``polarity``, ``phases``, ``bins`` and ``crop``, as
            of ``EncoderSettings``.

    Raises:
        InputError: an argument is out of range, or of another coding.

    Source: Abillama et al., IEEE Access 2025, section on the DVS encoding; "phase": Hwang and Kung, 2024, the
    multi-spike binary code of the input.
    """

    def __init__(
        self,
        sensor_size: Size = DEFAULT_SENSOR,
        window: int = 10_000,
        coding: str = "binary",
        *,
        start: int | None = None,
        outside: str = "error",
        late: str = "error",
        max_gap: int = MAX_GAP,
        **options: Any,
    ) -> None:
        check_options(coding, options)
        self.settings = EncoderSettings(sensor_size, window, coding, **options)
        self.outside = one_of(outside, "outside", OUTSIDE)
        self.late = one_of(late, "late", OUTSIDE)
        self.max_gap = whole_number(max_gap, "max_gap", 0, 1 << 62)
        self.report = EncodeReport()
        self._start = None if start is None else whole_number(start, "start", -(1 << 62), 1 << 62)
        self._parts, self._window = self.settings.parts, self.settings.window
        self._coder = make_coder(self.settings)
        self._last_time: int | None = None
        self._part = -1
        self._window_index = 0
        self._window_events = 0
        self._finished = False

    @classmethod
    def from_node(cls, node: EventInputLike, **options: Any) -> FrameEncoder:
        """The encoder that a graph's ``EventInput`` describes; ``options`` are further arguments of the encoder."""
        how = {name: options.pop(name) for name in ("start", "outside", "late", "max_gap") if name in options}
        return cls(**EncoderSettings.from_node(node, **options).to_dict(), **how)

    @property
    def sensor_size(self) -> Size:
        """(width, height) of the sensor."""
        return self.settings.sensor_size

    @property
    def window(self) -> int:
        """Length of a window in µs."""
        return self._window

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(P, H, W) of every frame."""
        return self.settings.frame_shape

    @property
    def frames_per_window(self) -> int:
        """K, the number of frames of a window."""
        return self.settings.frames_per_window

    def push(self, events: Events | npt.NDArray[Any]) -> FloatFrame:
        """Takes a chunk and returns the frames [n·K, P, H, W] that it completes; n may be 0.

        Raises:
            InputError: times go back, an event lies outside the sensor, or a gap is too long.
        """
        return self._stack(self.windows(events))

    def finish(self) -> FloatFrame:
        """Ends the stream: the last, partial window as [K, P, H, W], or [0, P, H, W] if no event ever came."""
        return self._stack(self.finish_windows())

    def windows(self, events: Events | npt.NDArray[Any]) -> Iterator[Window]:
        """Like ``push``, one window at a time, so that a long gap costs no memory; consume it before the next call."""
        if self._finished:
            raise InputError("encoder", "took events after finish()", "Make a new encoder for the next recording")
        events = self._admit(as_events(events))
        at = 0
        while at < len(events):
            part = (int(events.t[at]) - self._origin) * self._parts // self._window
            if part != self._part:
                self._require_short_gap(part // self._parts)
                yield from self._advance(part)
            end_of_part = self._origin - (-(part + 1) * self._window // self._parts)
            stop = at + int(np.searchsorted(events.t[at:], end_of_part))
            self._coder.add(events[at:stop], self._origin + self._window_index * self._window)
            self._window_events += stop - at
            at = stop

    def windows_until(self, time: int) -> Iterator[Window]:
        """The windows that end at ``time`` µs or before it, for a source that is silent: no event before it may come.

        Before the first event, without ``start``, no window has begun and none ends.  A later event of a window that
        was closed is an error, or counted (``late``).
        """
        if self._finished or self._start is None:
            return
        window = (time - self._origin) // self._window
        if window > (self._window_index if self._part >= 0 else 0):
            yield from self._advance(window * self._parts)

    def finish_windows(self) -> Iterator[Window]:
        """Like ``finish``, as windows."""
        if self._part >= 0 and not self._finished:
            self.report.partial_events = self._window_events
            self._coder.close_part()
            yield self._close_window()
        self._finished = True

    def encode(self, chunks: Iterable[Events | npt.NDArray[Any]]) -> Iterator[Window]:
        """The windows of a whole recording, one at a time."""
        for chunk in chunks:
            yield from self.windows(chunk)
        yield from self.finish_windows()

    @property
    def _origin(self) -> int:
        return self._start or 0

    @property
    def _closed_until(self) -> int | None:
        """First µs of the current window; what lies before it was handed out."""
        return self._origin + self._window_index * self._window if self._part >= 0 else None

    def check(self, events: Events) -> Events:
        """Returns a chunk that may follow those taken so far.

        Raises:
            InputError: times go back, or an event lies outside the sensor and ``outside`` is "error".
        """
        back = first_backwards(events.t, self._last_time)
        if back is not None:
            before = events.t[back - 1] if back else self._last_time
            where = f"event {self.report.events + back}"
            raise InputError(where, f"time {events.t[back]} µs after {before} µs goes back", "Sort the events by time")
        outside = first_outside(events, self.sensor_size) if self.outside == "error" else None
        if outside is not None:
            (width, height), where = self.sensor_size, f"event {self.report.events + outside}"
            found = f"({events.x[outside]}, {events.y[outside]}) is outside the sensor of {width}x{height} pixels"
            raise InputError(where, found, "Give the right sensor_size (width, height)")
        return events

    def _admit(self, events: Events) -> Events:
        """Checks a chunk and leaves out what no frame takes; all of it is counted."""
        self.check(events)
        self.report.events += len(events)
        if not len(events):
            return events
        self._last_time = int(events.t[-1])
        self._start = int(events.t[0]) if self._start is None else self._start
        early = int(np.searchsorted(events.t, self._origin))
        self.report.before_start += early
        events = self._drop_late(events[early:])
        if self.outside == "count" and first_outside(events, self.sensor_size) is not None:
            events, dropped = _inside(events, (0, 0, *self.sensor_size))
            self.report.outside += dropped
        if self.settings.crop is not None:
            events, dropped = _inside(events, self.settings.crop)
            self.report.cropped += dropped
        self.report.pending_events += len(events)
        return events

    def _drop_late(self, events: Events) -> Events:
        closed = self._closed_until
        late = 0 if closed is None else int(np.searchsorted(events.t, closed))
        if late and self.late == "error":
            where = f"event {self.report.events - len(events)}"
            found = f"time {events.t[0]} µs is of a window that ended at {closed} µs without it"
            raise InputError(where, found, "Count such events with late='count'")
        self.report.late += late
        return events[late:]

    def _require_short_gap(self, window: int) -> None:
        first_empty = self._window_index + 1 if self._part >= 0 else 0
        if window - first_empty > self.max_gap:
            raise InputError(
                f"gap after {self._origin + first_empty * self._window} µs",
                f"{window - first_empty} windows of {self._window} µs without any event, at most {self.max_gap} may be",
                "Check the clock of the recording, or raise max_gap or window",
            )

    def _advance(self, part: int) -> Iterator[Window]:
        """Closes the current part, and every window before the one that holds ``part``."""
        window = part // self._parts
        first_empty = self._window_index + 1 if self._part >= 0 else 0
        if self._part >= 0:
            self._coder.close_part()
            if window > self._window_index:
                yield self._close_window()
        for index in range(first_empty, window):
            self._window_index = index
            yield self._close_window()
        self._window_index, self._part = window, part

    def _close_window(self) -> Window:
        shape = (self.frames_per_window, *self.frame_shape)
        empty = self._window_events == 0
        frames = np.zeros(shape, dtype=np.float32) if empty else self._coded().reshape(shape)
        t_start = self._origin + self._window_index * self._window
        self.report.windows += 1
        self.report.empty_windows += empty
        window = Window(frames, self._window_index, t_start, t_start + self._window, self._window_events)
        self.report.pending_events -= self._window_events
        self._window_events = 0
        return window

    def _coded(self) -> FloatFrame:
        values = self._coder.take(self._window_events)
        self.report.saturated = self._coder.saturated
        if self.settings.polarity != "signed":
            return values
        half = values.shape[1] // 2
        return values[:, half:] - values[:, :half]

    def _stack(self, windows: Iterator[Window]) -> FloatFrame:
        frames = [window.frames for window in windows]
        return np.concatenate(frames) if frames else np.zeros((0, *self.frame_shape), dtype=np.float32)


def encode(
    events: Events | npt.NDArray[Any] | Iterable[Events | npt.NDArray[Any]],
    sensor_size: Size | None = None,
    window: int = 10_000,
    coding: str = "binary",
    **options: Any,
) -> FloatFrame:
    """All frames [T·K, P, H, W] of a recording, the partial last window included.

    Args:
        events: a ``Recording``, ``Events``, a structured array (x, y, t [µs], p), or an iterable of such chunks.
        sensor_size: (width, height); by default the recording's own, and (346, 260) for events that do not say.
        window: length of a window in µs.
        coding: "binary", "count", "one-hot", "phase" or "voxel"; K is 1 for the first three.
        options: further arguments of ``FrameEncoder``, which also gives the equations.

    Raises:
        InputError: an argument is out of range, times go back, or an event lies outside the sensor.
        FileError: the recording is damaged.
    """
    if isinstance(events, Recording):
        check_same_sensor(events, sensor_size)
        sensor_size = events.sensor_size
    encoder = FrameEncoder(DEFAULT_SENSOR if sensor_size is None else sensor_size, window, coding, **options)
    chunks = events if isinstance(events, Iterable) and not isinstance(events, np.ndarray) else [events]
    frames = [window.frames for window in encoder.encode(chunks)]
    return np.concatenate(frames) if frames else np.zeros((0, *encoder.frame_shape), dtype=np.float32)


def check_same_sensor(recording: Recording, sensor_size: Size | None) -> None:
    """Refuses to encode a recording as if it came from another sensor.

    Raises:
        InputError: the sizes differ.
    """
    if sensor_size is not None and tuple(sensor_size) != recording.sensor_size:
        raise InputError(
            recording.name,
            f"is of a sensor of {recording.sensor_size} pixels, the encoder expects {tuple(sensor_size)}",
            "Give the recording's sensor size, or a model made for it",
        )


def _inside(events: Events, area: tuple[int, int, int, int]) -> tuple[Events, int]:
    """The events of an area (x, y, width, height), counted from its corner, and the number of the others."""
    x, y, width, height = area
    # Unsigned differences wrap around below the corner, so one comparison finds both sides.
    moved_x, moved_y = events.x - np.uint16(x), events.y - np.uint16(y)
    inside = (moved_x < width) & (moved_y < height)
    kept = Events(moved_x, moved_y, events.t, events.p).select(inside)
    return kept, len(events) - len(kept)
