"""Events to frames on a grid of time windows, incrementally or at once, with the same result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.events import Events, Size, as_events, as_size, first_backwards, first_outside
from nirbridge_events.pixels import (
    LARGEST_COUNT,
    FloatFrame,
    MaxSlice,
    PixelMap,
    SeenSlice,
    Slice,
    SumSlice,
)
from nirbridge_events.quantise import Quantiser
from nirbridge_events.recording import Recording
from nirbridge_events.windows import EncodeReport, Window

CODINGS = ("binary", "count", "one-hot")
DOWNSAMPLES: dict[str, type[SeenSlice] | type[SumSlice] | type[MaxSlice]] = {
    "or": SeenSlice,
    "sum": SumSlice,
    "max": MaxSlice,
}
POLARITIES = {"keep": 2, "merge": 1}
OUTSIDE = ("error", "count")
DEFAULT_SENSOR = (346, 260)
MAX_LANES = 16
MAX_SUBFRAMES = 1 << 16
MAX_GAP = 10_000


class EventInputLike(Protocol):
    """The fields of the graph primitive ``EventInput`` that an encoder takes over."""

    shape: tuple[int, ...]
    sensor_size: tuple[int, ...]
    window: int
    subframes: int
    lanes: int
    coding: str
    downsample: str


class FrameEncoder:
    """Turns chunks of events into frames, one for each window of time.

    Window w holds the events with ``start + w·window <= t < start + (w+1)·window``.  It is split into ``subframes``
    parts, an event belonging to part ``(t - t_start)·subframes // window``.  Within part j the events of the sensor
    pixels that make up an output pixel are merged first, to r_j (``downsample``: "or" 1 if any, "sum" their number,
    "max" the number of the busiest sensor pixel); then the window is coded:

        binary   y = 1 if any r_j > 0, else 0
        count    y = Σ_j r_j
        one-hot  c = Σ_j [r_j > 0];  y = 0 if c = 0, else min(2^round(log2 c), 2^(lanes-1))

    Without downsampling, "count" counts every event, whatever ``downsample`` says.

    Args:
        sensor_size: (width, height) of the sensor.
        window: length of a window in µs.
        coding: "binary", "count" or "one-hot".
        lanes: S of "one-hot"; its values are 0, 1, 2, .., 2^(S-1).
        subframes: parts of a window; by default 2^(lanes-1) for "one-hot" and 1 else.
        size: (width, height) of the frames, by default the sensor's; never larger.
        downsample: "or", "sum" or "max"; by default "sum" for "count" and "or" else.
        polarity: "keep" (P = 2, channel 0 OFF and 1 ON) or "merge" (P = 1).
        start: time in µs where window 0 begins; by default the time of the first event.
        outside: what an event outside the sensor is: an "error", or left out and put into the report ("count").
        max_gap: how many windows without any event may follow each other; more means a broken clock.

    Raises:
        InputError: an argument is out of range.

    Source: seed 000, section on the DVS encoding; neurons.md §1.
    """

    def __init__(
        self,
        sensor_size: Size = DEFAULT_SENSOR,
        window: int = 10_000,
        coding: str = "binary",
        lanes: int = 3,
        subframes: int | None = None,
        size: Size | None = None,
        downsample: str | None = None,
        polarity: str = "keep",
        start: int | None = None,
        outside: str = "error",
        max_gap: int = MAX_GAP,
    ) -> None:
        self.sensor_size = as_size(sensor_size, "sensor_size")
        self.size = self.sensor_size if size is None else as_size(size, "size")
        if self.size[0] > self.sensor_size[0] or self.size[1] > self.sensor_size[1]:
            raise InputError("size", f"frames of {self.size} exceed the sensor's {self.sensor_size}", "Only shrink")
        self.window = _count(window, "window", 1, 1 << 40)
        self.coding = _choice(coding, "coding", CODINGS)
        self.lanes = _count(lanes, "lanes", 1, MAX_LANES)
        default_subframes = 1 << (self.lanes - 1) if coding == "one-hot" else 1
        self.subframes = default_subframes if subframes is None else _count(subframes, "subframes", 1, MAX_SUBFRAMES)
        default_downsample = "sum" if coding == "count" else "or"
        self.downsample = _choice(downsample or default_downsample, "downsample", tuple(DOWNSAMPLES))
        self.polarity = _choice(polarity, "polarity", tuple(POLARITIES))
        self.outside = _choice(outside, "outside", OUTSIDE)
        self.max_gap = _count(max_gap, "max_gap", 0, 1 << 62)
        self.report = EncodeReport()
        self._start = None if start is None else _count(start, "start", -(1 << 62), 1 << 62)
        self.pixel_map = PixelMap(self.sensor_size, self.size, POLARITIES[self.polarity])
        self._slice = self._make_slice()
        self._quantiser = Quantiser(self.subframes, self.lanes)
        self._sum_dtype = np.dtype(np.float32) if coding == "count" else self._quantiser.dtype
        self._sum: npt.NDArray[Any] | None = None
        self._last_time: int | None = None
        self._part = -1
        self._window_index = 0
        self._window_events = 0
        self._finished = False

    @classmethod
    def from_node(cls, node: EventInputLike, **options: Any) -> FrameEncoder:
        """The encoder that a graph's ``EventInput`` describes; ``options`` are further arguments of the encoder."""
        polarities, height, width = (int(n) for n in node.shape)
        sensor_width, sensor_height = (int(n) for n in node.sensor_size)
        return cls(
            sensor_size=(sensor_width, sensor_height),
            window=int(node.window),
            coding=node.coding,
            lanes=int(node.lanes),
            subframes=int(node.subframes),
            size=(width, height),
            downsample=node.downsample,
            polarity="merge" if polarities == 1 else "keep",
            **options,
        )

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """(P, H, W) of every frame."""
        return self.pixel_map.shape

    def push(self, events: Events | npt.NDArray[Any]) -> FloatFrame:
        """Takes a chunk and returns the frames [n, P, H, W] that it completes; n may be 0.

        Raises:
            InputError: times go back, an event lies outside the sensor, or a gap is too long.
        """
        return self._stack(self.windows(events))

    def finish(self) -> FloatFrame:
        """Ends the stream: the last, partial window as [1, P, H, W], or [0, P, H, W] if no event ever came."""
        return self._stack(self.finish_windows())

    def windows(self, events: Events | npt.NDArray[Any]) -> Iterator[Window]:
        """Like ``push``, one window at a time, so that a long gap costs no memory; consume it before the next call."""
        if self._finished:
            raise InputError("encoder", "took events after finish()", "Make a new encoder for the next recording")
        events = self._admit(as_events(events))
        at = 0
        while at < len(events):
            part = (int(events.t[at]) - self._origin) * self.subframes // self.window
            if part != self._part:
                yield from self._advance(part)
            end_of_part = self._origin - (-(part + 1) * self.window // self.subframes)
            stop = at + int(np.searchsorted(events.t[at:], end_of_part))
            self._slice.add(events[at:stop])
            self._window_events += stop - at
            at = stop

    def finish_windows(self) -> Iterator[Window]:
        """Like ``finish``, as windows."""
        if self._part >= 0 and not self._finished:
            self.report.partial_events = self._window_events
            self._close_part()
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

    def _make_slice(self) -> Slice:
        if self.coding == "binary":
            return SeenSlice(self.pixel_map, np.float32)
        if self.coding == "one-hot":
            return SeenSlice(self.pixel_map)
        return DOWNSAMPLES[self.downsample](self.pixel_map) if self.pixel_map.downsamples else SumSlice(self.pixel_map)

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
        """Checks a chunk and leaves out what lies before the start or outside the sensor; all of it is counted."""
        self.check(events)
        if len(events):
            self._last_time = int(events.t[-1])
            self._start = int(events.t[0]) if self._start is None else self._start
        self.report.events += len(events)
        early = int(np.searchsorted(events.t, self._origin)) if len(events) else 0
        self.report.before_start += early
        events = events[early:]
        if first_outside(events, self.sensor_size) is not None:
            events = self._drop_outside(events)
        self.report.pending_events += len(events)
        return events

    def _drop_outside(self, events: Events) -> Events:
        inside = (events.x < self.sensor_size[0]) & (events.y < self.sensor_size[1])
        self.report.outside += int((~inside).sum())
        return Events(events.x[inside], events.y[inside], events.t[inside], events.p[inside])

    def _advance(self, part: int) -> Iterator[Window]:
        """Closes the current part, and every window before the one that holds ``part``."""
        window = part // self.subframes
        first_empty = self._window_index + 1 if self._part >= 0 else 0
        if window - first_empty > self.max_gap:
            raise InputError(
                f"gap after {self._last_full_time()} µs",
                f"{window - first_empty} windows of {self.window} µs without any event, at most {self.max_gap} may be",
                "Check the clock of the recording, or raise max_gap or window",
            )
        if self._part >= 0:
            self._close_part()
            if window > self._window_index:
                yield self._close_window()
        for index in range(first_empty, window):
            self._window_index = index
            yield self._close_window()
        self._window_index, self._part = window, part

    def _last_full_time(self) -> int:
        return self._origin + (self._window_index + 1 if self._part >= 0 else 0) * self.window

    def _close_part(self) -> None:
        if self.subframes == 1 or self.coding == "binary":
            return
        values = self._slice.take()
        if self._sum is None:
            self._sum = values.astype(self._sum_dtype)
        else:
            np.add(self._sum, values, out=self._sum)

    def _close_window(self) -> Window:
        empty = self._window_events == 0
        frame = np.zeros(self.frame_shape, dtype=np.float32) if empty else self._coded().reshape(self.frame_shape)
        t_start = self._origin + self._window_index * self.window
        self.report.windows += 1
        self.report.empty_windows += empty
        window = Window(frame, self._window_index, t_start, t_start + self.window, self._window_events)
        self.report.pending_events -= self._window_events
        self._sum, self._window_events = None, 0
        return window

    def _coded(self) -> FloatFrame:
        counts = self._slice.take() if self._sum is None else self._sum
        if self.coding == "one-hot":
            self.report.saturated += self._quantiser.count_cut(counts)
            return self._quantiser.values(counts)
        if self._window_events > LARGEST_COUNT:
            self.report.saturated += int((counts >= LARGEST_COUNT).sum())
        return counts.astype(np.float32, copy=False)

    def _stack(self, windows: Iterator[Window]) -> FloatFrame:
        frames = [window.frame for window in windows]
        return np.stack(frames) if frames else np.zeros((0, *self.frame_shape), dtype=np.float32)


def encode(
    events: Events | npt.NDArray[Any] | Iterable[Events | npt.NDArray[Any]],
    sensor_size: Size | None = None,
    window: int = 10_000,
    coding: str = "binary",
    **options: Any,
) -> FloatFrame:
    """All frames [T, P, H, W] of a recording, the partial last window included.

    Args:
        events: a ``Recording``, ``Events``, a structured array (x, y, t [µs], p), or an iterable of such chunks.
        sensor_size: (width, height); by default the recording's own, and (346, 260) for events that do not say.
        window: length of a window in µs.
        coding: "binary", "count" or "one-hot".
        options: ``lanes``, ``subframes``, ``size``, ``downsample``, ``polarity``, ``start``, ``outside``, ``max_gap``,
            as of ``FrameEncoder``, which also gives the equations.

    Raises:
        InputError: an argument is out of range, times go back, or an event lies outside the sensor.
        FileError: the recording is damaged.
    """
    if isinstance(events, Recording):
        check_same_sensor(events, sensor_size)
        sensor_size = events.sensor_size
    encoder = FrameEncoder(DEFAULT_SENSOR if sensor_size is None else sensor_size, window, coding, **options)
    chunks = events if isinstance(events, Iterable) and not isinstance(events, np.ndarray) else [events]
    frames = [window.frame for window in encoder.encode(chunks)]
    return np.stack(frames) if frames else np.zeros((0, *encoder.frame_shape), dtype=np.float32)


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


def _count(value: Any, name: str, lowest: int, highest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not lowest <= value <= highest:
        raise InputError(name, f"{value!r} is not a whole number in {lowest}..{highest}", "Give one in this range")
    return int(value)


def _choice(value: str, name: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InputError(name, f"{value!r} is unknown; known are {', '.join(choices)}", "Choose one of them")
    return value
