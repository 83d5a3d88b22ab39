"""Events to frames, window by window of time or of so many events, incrementally or at once, with the same result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events import counting, one_sweep
from nirbridge_events.areas import moved, within
from nirbridge_events.codings import CODERS, REMEMBER
from nirbridge_events.events import Events, Size, as_events, count_before, in_pieces, inside, narrowed, require_good
from nirbridge_events.pixels import FloatFrame, FreshMemory
from nirbridge_events.recording import Recording
from nirbridge_events.settings import (
    DEFAULT_SENSOR,
    EncoderSettings,
    EventInputLike,
    check_options,
    one_of,
    whole_number,
)
from nirbridge_events.time_range import TimeRange
from nirbridge_events.windows import MOST_RESERVED, Collected, EncodeReport, Window

WINDOW = 10_000
OUTSIDE = ("error", "count")
MAX_GAP = 10_000
PIECE = 1 << 17
"""Events of an array that are encoded at once."""


class FrameEncoder:
    """Turns chunks of events into frames, one or K for each window of time.

    Window w holds the events with ``start + w·window <= t < start + (w+1)·window``.  It is split into ``subframes``
    parts, an event belonging to part ``(t - t_start)·subframes // window``.  With ``per_events`` = N it holds the N
    events from number w·N on, of those that are in frames at all, and numbers take the place of times: event i is in
    part ``(i - w·N)·subframes // N``; such a window is complete with its last event.  Within part j the events of the
    sensor pixels that make up an output pixel are merged first, to r_j (``downsample``: "or" 1 if any, "sum" their
    number, "max" the number of the busiest sensor pixel); then the window is coded:

        binary   y = 1 if any r_j > 0, else 0
        count    y = Σ_j r_j, at most 2^24
        one-hot  c = Σ_j [r_j > 0];  y = 0 if c = 0, else min(2^round(log2 c), 2^(lanes-1))
        phase    K = phases frames; x_k = the digit of weight 2^(K-k) of min(r, 2^K - 1), k = 1..K
        voxel    B = bins frames; y_b = Σ_i max(0, 1 - |b - (B-1)(t_i - t_start)/window|) over the events i
        time-surface   y = exp(-(t_end - t_last)/tau); 0 where there was no event yet

    Phase-coded frames decode as Σ_k 2^-k x_k = r / 2^K, most significant digit first.  "phase", "voxel" and
    "time-surface" have one part.  t_end is the first µs after the window, and t_last the time of the last event of a
    pixel in this window or any before it: with merged pixels, of any of them.  Without downsampling, "count" and
    "phase" count every event, whatever ``downsample`` says.  With polarity "signed" each polarity is coded by itself
    and y = y_ON - y_OFF.  A value that does not fit is cut and counted.

    Args:
        sensor_size: (width, height) of the sensor.
        window: length of a window in µs, 10,000 if neither it nor ``per_events`` is given.
        coding: "binary", "count", "one-hot", "phase", "voxel" or "time-surface".
        start: where window 0 begins, on the recording's own clock: a time in µs, "zero" for its time 0, or "first"
            (also None) for the time of the first event.  Events before it are counted and left out.
        end: where windows end, on the same clock in µs, also where no event comes until there; a window that it cuts
            is the last one.  Events at that time or after it are counted and left out.
        outside: what an event outside the sensor is: an "error", or left out and put into the report ("count").
        late: the same for an event of a window that ``windows_until`` closed.
        max_gap: how many windows without any event may follow each other; more means a broken clock.
        gap: what more are: an "error", or not made and put into the report ("count").
        options: ``lanes``, ``subframes``, ``size``, ``downsample``, ``polarity``, ``phases``, ``bins``, ``tau``,
            ``crop`` and ``per_events``, as of ``EncoderSettings``.

    Raises:
        InputError: an argument is out of range, of another coding, or excludes another one.

    Source: Abillama et al., IEEE Access 2025, section on the DVS encoding; "phase": Hwang and Kung, 2024, the
    multi-spike binary code of the input; "time-surface": Lagorce et al., HOTS, 2017, at the ends of windows.
    """

    def __init__(
        self,
        sensor_size: Size = DEFAULT_SENSOR,
        window: int | None = None,
        coding: str = "binary",
        *,
        start: int | str | None = None,
        end: int | None = None,
        outside: str = "error",
        late: str = "error",
        max_gap: int = MAX_GAP,
        gap: str = "error",
        **options: Any,
    ) -> None:
        check_options(coding, options)
        if window and options.get("per_events") is not None:
            raise InputError("per_events", "says the length of a window, and so does window", "Give one of them")
        window = WINDOW if window is None else window
        self.settings = EncoderSettings(sensor_size, window, coding, **options)
        self.outside = one_of(outside, "outside", OUTSIDE)
        self.late = one_of(late, "late", OUTSIDE)
        self.max_gap = whole_number(max_gap, "max_gap", 0, 1 << 62)
        self.gap = one_of(gap, "gap", OUTSIDE)
        self.report = EncodeReport()
        self._most_empty = 0
        self._range = TimeRange(start, end)
        self._by_number = self.settings.per_events is not None
        self._parts, self._length = self.settings.parts, self.settings.length
        memory = FreshMemory(self.frames_per_window * self.settings.pixel_map.pixels)
        self._coder = CODERS[self.settings.coding](self.settings, memory)
        self._part = -1
        self._window_index = 0
        self._window_events = self._placed = 0
        self._window_times = (0, 0)
        self._finished = self._closed_at_end = False

    @classmethod
    def from_node(cls, node: EventInputLike, **options: Any) -> FrameEncoder:
        """The encoder that a graph's ``EventInput`` describes; ``options`` are further arguments of the encoder."""
        how = {
            name: options.pop(name) for name in ("start", "end", "outside", "late", "max_gap", "gap") if name in options
        }
        return cls(**EncoderSettings.from_node(node, **options).to_dict(), **how)

    @property
    def sensor_size(self) -> Size:
        """(width, height) of the sensor."""
        return self.settings.sensor_size

    @property
    def ended(self) -> bool:
        """Whether ``end`` was passed, so that no further window comes."""
        return self._range.passed

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
            InputError: times go back, a polarity is neither 0 nor 1, an event lies outside the sensor, or a gap is too
                long.
        """
        return self._stack(self.windows(events))

    def finish(self) -> FloatFrame:
        """Ends the stream: the last, partial window as [K, P, H, W], or [0, P, H, W] if no event ever came."""
        return self._stack(self.finish_windows())

    def windows(
        self,
        events: Events | npt.NDArray[Any],
        numbers: npt.NDArray[np.int64] | None = None,
        most_empty: int | None = None,
    ) -> Iterator[Window]:
        """Like ``push``, one window at a time, so that a long gap costs no memory; consume it before the next call.

        With ``per_events``, ``numbers`` may say which number each event counts as, if none is left out.  With
        ``gap="count"`` all gaps of the chunk together make at most ``most_empty`` empty windows, if it is given.
        """
        if self._finished:
            raise InputError("encoder", "took events after finish()", "Make a new encoder for the next recording")
        events = self._admit(as_events(events))
        self._most_empty = 1 << 62 if most_empty is None else most_empty
        places, origin = (events.t, self._origin) if not self._by_number else (self._numbers(events, numbers), 0)
        at = 0
        while at < len(events):
            part = (int(places[at]) - origin) * self._parts // self._length
            if part != self._part:
                self._require_short_gap(part // self._parts)
                yield from self._advance(part)
            end_of_part = origin - (-(part + 1) * self._length // self._parts)
            stop = at + count_before(places[at:], end_of_part)
            self._coder.add(events[at:stop], origin + self._window_index * self._length)
            first = self._window_times[0] if self._window_events else int(events.t[at])
            self._window_times = (first, int(events.t[stop - 1]))
            self._window_events += stop - at
            if self._by_number and int(places[stop - 1]) + 1 == (self._window_index + 1) * self._length:
                yield from self._advance((self._window_index + 1) * self._parts)
            at = stop
        if self.ended and not self._closed_at_end and self._range.holds_some(self.report):
            yield from self._close_at_end()

    def windows_until(self, time: int) -> Iterator[Window]:
        """The windows that end at ``time`` µs or before it, for a source that is silent: no event before it may come.

        Before the first event, without ``start``, no window has begun and none ends; nor do windows of so many events.
        A later event of a window that was closed is an error, or counted (``late``).
        """
        if self._finished or self.ended or self._range.start is None or self._by_number:
            return
        self._most_empty = 1 << 62
        if self._range.end is not None and time >= self._range.end:
            self._range.passed = True
            yield from self._close_at_end()
            return
        window = (time - self._origin) // self._length
        if window > (self._window_index if self._part >= 0 else 0):
            yield from self._advance(window * self._parts)

    def finish_windows(self) -> Iterator[Window]:
        """Like ``finish``, as windows.

        Raises:
            InputError: events came, but none of them between ``start`` and ``end``.
        """
        if not self._finished and not self.ended:
            yield from self._close_at_end()
        self._finished = True
        self._range.require_some(self.report)

    def encode(self, chunks: Iterable[Events | npt.NDArray[Any]]) -> Iterator[Window]:
        """The windows of a whole recording, one at a time."""
        for chunk in chunks:
            yield from self.windows(chunk)
        yield from self.finish_windows()

    def encode_all(self, chunks: Iterable[Events | npt.NDArray[Any]], windows: int = 1) -> FloatFrame:
        """All frames [T·K, P, H, W] of a whole recording, which has about that many ``windows``."""
        collected = Collected((self.frames_per_window, *self.frame_shape), windows)
        if self.settings.polarity != "signed":  # there each polarity is coded by itself first
            self._coder = CODERS[self.settings.coding](self.settings, collected)
        for window in self.encode(chunks):
            collected.keep(window.frames)
        return collected.frames

    def sweep(self, events: Events | npt.NDArray[Any]) -> FloatFrame | None:
        """``encode_all`` of an array, by machine code where it can; else None, and the encoder is as before."""
        if self.outside == "count" or self.gap == "count":
            return None
        return one_sweep.sweep(events, self.settings, self._range, self.max_gap)

    @property
    def _origin(self) -> int:
        return self._range.start or 0

    @property
    def closed_until(self) -> int | None:
        """First µs of the current window, None before the first one; what lies before it was handed out."""
        if self._by_number or self._part < 0:
            return None
        return self._origin + self._window_index * self._length

    def _numbers(self, events: Events, given: npt.NDArray[np.int64] | None) -> npt.NDArray[np.int64]:
        """The number of each event among those that were in frames."""
        first, self._placed = self._placed, self._placed + len(events)
        if given is None:
            return np.arange(first, self._placed)
        if len(given) != len(events):
            raise InputError("numbers", f"{len(given)} for {len(events)} events in frames", "Give one for each")
        return given

    def _admit(self, events: Events) -> Events:
        """Checks a chunk and leaves out what no frame takes; all of it is counted."""
        last_time = None if self._range.seen is None else self._range.seen[1]
        require_good(events, last_time, self.sensor_size if self.outside == "error" else None, self.report.events)
        self.report.events += len(events)
        if not len(events):
            return events
        events = self._drop_late(self._range.cut(events, self.report))
        if self.outside == "count" and (on_sensor := inside(events, self.sensor_size)) is not None:
            self.report.outside += int((~on_sensor).sum())
            events = events.select(on_sensor)
        events = narrowed(events)
        if self.settings.crop is not None:
            events = moved(events, self.settings.crop)
            kept = events.select(within(events, self.settings.crop))
            self.report.cropped += len(events) - len(kept)
            events = kept
        self.report.pending_events += len(events)
        return events

    def _drop_late(self, events: Events) -> Events:
        closed = self.closed_until
        late = 0 if closed is None else count_before(events.t, closed)
        if late and self.late == "error":
            where = f"event {self.report.events - len(events)}"
            found = f"time {events.t[0]} µs is of a window that ended at {closed} µs without it"
            raise InputError(where, found, "Count such events with late='count'")
        self.report.late += late
        return events[late:]

    @property
    def _first_empty(self) -> int:
        """The window behind the current one."""
        return self._window_index + 1 if self._part >= 0 else 0

    def _require_short_gap(self, window: int) -> None:
        first_empty = self._first_empty
        if self.gap == "error" and window - first_empty > self.max_gap and not self._by_number:
            raise InputError(
                f"gap after {self._origin + first_empty * self._length} µs",
                f"{window - first_empty} windows of {self._length} µs without any event, at most {self.max_gap} may be",
                "Check the clock and where windows start and end, or raise --max-gap (max_gap) or --window",
            )

    def _advance(self, part: int) -> Iterator[Window]:
        """Closes the current part, and every window before the one that holds ``part``."""
        window, first_empty = part // self._parts, self._first_empty
        if self._part >= 0:
            self._coder.close_part()
            if window > self._window_index:
                yield self._close_window()
        made = window
        if self.gap == "count" and not self._by_number:
            made = min(window, first_empty + min(self.max_gap, self._most_empty))
        for index in range(first_empty, made):
            self._window_index = index
            yield self._close_window()
        if window > first_empty:
            self._most_empty -= made - first_empty
            self.report.gap_windows += window - made
        self._window_index, self._part = window, part

    def _close_at_end(self) -> Iterator[Window]:
        """Closes the last window, and those without events up to ``end``."""
        self._most_empty, self._closed_at_end = 1 << 62, True
        if self._by_number:
            is_open = self._part >= 0 and self._window_events > 0
        elif self._range.end is None or self._range.start is None:
            is_open = self._part >= 0
        else:
            whole, rest = divmod(self._range.end - self._origin, self._length)
            self._require_short_gap(whole)
            yield from self._advance(whole * self._parts)
            is_open = rest > 0
        if is_open:
            self.report.partial_events = self._window_events
            self._coder.close_part()
            yield self._close_window()
        self._part = -1

    def _close_window(self) -> Window:
        if self._by_number:
            t_start, t_end = self._window_times[0], self._window_times[1] + 1
        else:
            t_start = self._origin + self._window_index * self._length
            t_end = t_start + self._length
        shape = (self.frames_per_window, *self.frame_shape)
        empty = self._window_events == 0
        blank = empty and self.settings.coding not in REMEMBER
        frames = np.zeros(shape, dtype=np.float32) if blank else self._coded(t_end).reshape(shape)
        self.report.windows += 1
        self.report.empty_windows += empty
        window = Window(frames, self._window_index, t_start, t_end, self._window_events)
        self.report.pending_events -= self._window_events
        self._window_events = 0
        return window

    def _coded(self, t_end: int) -> FloatFrame:
        values = self._coder.take(self._window_events, t_end)
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
    window: int | None = None,
    coding: str = "binary",
    **options: Any,
) -> FloatFrame:
    """All frames [T·K, P, H, W] of a recording, the partial last window included.

    Args:
        events: a ``Recording``, ``Events``, a structured array (x, y, t [µs], p), or an iterable of such chunks.
        sensor_size: (width, height); by default the recording's own, and (346, 260) for events that do not say.
        window: length of a window in µs, 10,000 if neither it nor ``per_events`` is given.
        coding: "binary", "count", "one-hot", "phase", "voxel" or "time-surface"; K is the number of phases or bins of
            "phase" and "voxel", and 1 else.
        options: further arguments of ``FrameEncoder``, which also gives the equations: ``start``, ``end``,
            ``per_events``, ``lanes``, ``size`` and more.

    Raises:
        InputError: an argument is out of range, times go back, or an event lies outside the sensor.
        FileError: the recording is damaged.

    Warns of (``LossWarning``): events of a ``Recording`` that were left out, with their number.
    """
    if isinstance(events, Recording):
        check_same_sensor(events, sensor_size)
        sensor_size = events.sensor_size
    size = DEFAULT_SENSOR if sensor_size is None else sensor_size
    encoder = FrameEncoder(size, window, coding, **options)
    if isinstance(events, Events) or (isinstance(events, np.ndarray) and events.ndim == 1):
        counting.load_for(len(events))
        if (frames := encoder.sweep(events)) is not None:
            return frames
        with suppress(InputError):
            return encoder.encode_all(in_pieces(events, PIECE), _expected_windows(events, encoder.settings))
        # Something is wrong with it: taken as a whole it says what comes first, with the number of the event.
        encoder = FrameEncoder(size, window, coding, **options)
    chunks = events if isinstance(events, Iterable) and not isinstance(events, np.ndarray) else [events]
    frames = encoder.encode_all(chunks)
    if isinstance(events, Recording):
        events.report.warn(events.name)
    return frames


def _expected_windows(events: Events | npt.NDArray[Any], settings: EncoderSettings) -> int:
    """How many windows events in order make, from the first on; others are an error or make more of them.

    It is memory to reserve, so a broken clock must not ask for much.
    """
    times = [int(as_events(end).t[0]) for end in (events[:1], events[-1:]) if len(end)]
    span = len(events) if settings.per_events else times[-1] - times[0] if times else 0
    most = MOST_RESERVED // (settings.frames_per_window * prod(settings.frame_shape))
    return max(1, min(span // settings.length + 1, most))


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
