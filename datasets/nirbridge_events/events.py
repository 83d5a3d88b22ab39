"""Events as a structure of arrays, the form in which chunks travel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError

Size = tuple[int, int]

_LAST_TIME = np.iinfo(np.int64).max
_PLACES = (np.dtype("u2"), np.dtype("i8"))
EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])
"""An event: time in µs, column, row, and polarity (1 for brighter)."""


@dataclass(frozen=True, slots=True)
class Events:
    """A run of events in recorded order.

    Readers may give x and y as int64, so that a place that no sensor has keeps its number until the check of geometry
    leaves it out or names it; what passed that check is uint16.

    Attributes:
        x: uint16 [N], column in pixels, 0 at the left.
        y: uint16 [N], row in pixels, 0 at the top.
        t: int64 [N], time in µs.
        p: uint8 [N], polarity: 1 where the light grew (ON), 0 where it fell (OFF).

    Raises:
        InputError: an array has another type or length.
    """

    x: npt.NDArray[np.uint16]
    y: npt.NDArray[np.uint16]
    t: npt.NDArray[np.int64]
    p: npt.NDArray[np.uint8]

    def __post_init__(self) -> None:
        columns = (self.x, self.y, self.t, self.p)
        types_fit = self.t.dtype == np.int64 and self.p.dtype == np.uint8
        places_fit = self.x.dtype in _PLACES and self.y.dtype in _PLACES
        if not (types_fit and places_fit) or self.t.ndim != 1 or any(c.shape != self.t.shape for c in columns):
            found = [(values.dtype, values.shape) for values in columns]
            next_step = "Make them with as_events from a structured array"
            raise InputError("Events", f"x, y, t, p are {found}, not uint16, uint16, int64, uint8 [N]", next_step)

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice) -> Events:
        return Events(self.x[part], self.y[part], self.t[part], self.p[part])

    def select(self, at: npt.NDArray[Any]) -> Events:
        """The events where a mask is true, or at places in their order."""
        if at.dtype == np.bool_:
            if at.all():
                return self
            at = np.flatnonzero(at)  # to go through a mask for each column takes several times as long
        return Events(self.x[at], self.y[at], self.t[at], self.p[at])

    def to_array(self) -> npt.NDArray[Any]:
        """The events as one structured array with the fields t, x, y and p."""
        array = np.empty(len(self), dtype=EVENT_DTYPE)
        for name in ("t", "x", "y", "p"):
            array[name] = getattr(self, name)
        return array

    @staticmethod
    def concatenate(parts: Sequence[Events]) -> Events:
        """One run made of all ``parts``, which may be none or empty."""
        parts = [part for part in parts if len(part)]
        if not parts:
            return as_events(np.empty(0, dtype=EVENT_DTYPE))
        if len(parts) == 1:
            return parts[0]
        return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "t", "p")))


def as_events(source: Events | npt.NDArray[Any], where: str = "events") -> Events:
    """Events from a structured array with the fields x, y, t [µs] and p, in any integer types.

    Polarities are 0 and 1, False and True, or -1 and 1.  An x or y outside 0..65535 is kept, for the check of geometry.

    Raises:
        InputError: a field is missing, or is not of an integer type; a polarity is none of these.
    """
    if isinstance(source, Events):
        return source
    fields = getattr(getattr(source, "dtype", None), "fields", None) or {}
    if any(name not in fields for name in "xytp"):
        found = f"fields {tuple(fields)}" if fields else f"a {type(source).__name__} without fields"
        raise InputError(where, f"{found} instead of x, y, t and p", "Pass a structured array with these four fields")
    t = _integers(source["t"], "t", where).astype(np.int64)
    p = _polarity(source["p"], where)
    x, y = (as_places(_integers(source[name], name, where)) for name in "xy")
    return Events(x, y, t, p)


def in_pieces(source: Events | npt.NDArray[Any], size: int) -> Iterator[Events]:
    """``as_events`` of so many events at a time, which stay in the cache of the processor from step to step.

    Raises:
        InputError: as ``as_events``, but after the pieces before, and counted from the first event of a piece.
    """
    signs = np.zeros(2, dtype=np.bool_)
    for at in range(0, max(len(source), 1), size):
        piece = source[at : at + size]
        events = as_events(piece)
        if not isinstance(piece, Events) and piece["p"].dtype.kind not in "bu" and not signs.all():
            signs |= [bool((piece["p"] == -1).any()), bool((piece["p"] == 0).any())]
            if signs.all():
                raise InputError("events", "polarities of -1, 0 and 1 are mixed", "Leave the events of 0 away")
        yield events


def count_before(t: npt.NDArray[np.int64], time: int) -> int:
    """How many of times that grow come before ``time``, which may be beyond int64."""
    # numpy compares with what int64 does not hold in floating point.
    return len(t) if time > _LAST_TIME else int(np.searchsorted(t, time))


def first_backwards(t: npt.NDArray[np.int64], previous: int | None) -> int | None:
    """Index of the first time that is smaller than the one before it, or None."""
    if len(t) and previous is not None and t[0] < previous:
        return 0
    back = t[1:] < t[:-1]
    return int(back.argmax()) + 1 if back.any() else None


def inside(events: Events, sensor_size: Size) -> npt.NDArray[np.bool_] | None:
    """Which events lie on a sensor of (width, height); None if all do."""
    width, height = sensor_size
    if not len(events) or (_all_below(events.x, width) and _all_below(events.y, height)):
        return None
    on_sensor: npt.NDArray[np.bool_] = (events.x < width) & (events.y < height) & (events.x >= 0) & (events.y >= 0)
    return on_sensor


def first_outside(events: Events, sensor_size: Size) -> int | None:
    """Index of the first event outside a sensor of (width, height), or None."""
    on_sensor = inside(events, sensor_size)
    return None if on_sensor is None else int((~on_sensor).argmax())


def narrowed(events: Events) -> Events:
    """Events of which each lies on a sensor, with x and y as uint16."""
    if events.x.dtype == events.y.dtype == np.uint16:
        return events
    return Events(events.x.astype(np.uint16), events.y.astype(np.uint16), events.t, events.p)


def as_places(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Columns or rows of any integer type as uint16; as int64 if one is outside 0..65535."""
    values = np.ascontiguousarray(values)  # several passes follow, and a field of a structured array is strided
    if values.dtype == np.uint16 or not len(values) or (values.min() >= 0 and values.max() <= 65535):
        return values.astype(np.uint16, copy=False)
    most = np.minimum(values, np.uint64(np.iinfo(np.int64).max)) if values.dtype == np.uint64 else values
    return most.astype(np.int64)


def _all_below(values: npt.NDArray[Any], limit: int) -> bool:
    return bool(values.max() < limit) and (values.dtype == np.uint16 or bool(values.min() >= 0))


def as_size(size: Sequence[int], where: str) -> Size:
    """A (width, height) pair of positive integers.

    Raises:
        InputError: it is anything else.
    """
    sides = whole_numbers(size, 2)
    known = None if sides is None else known_size(*sides)
    if known is None:
        raise InputError(where, f"{size!r} is not (width, height) with both in 1..65536", "Give it as (346, 260)")
    return known


def whole_numbers(values: Any, count: int) -> tuple[int, ...] | None:
    """So many whole numbers as integers; None of anything else."""
    try:
        found = tuple(int(value) for value in values)
        return found if len(found) == count and list(found) == list(values) else None
    except (TypeError, ValueError, OverflowError):
        return None


def known_size(width: int, height: int) -> Size | None:
    """What a file says of the size of its sensor, None where no sensor has it."""
    return (width, height) if 0 < width <= 65536 and 0 < height <= 65536 else None


def _polarity(values: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    values = np.ascontiguousarray(values)
    if values.dtype.kind in "biu" and (not len(values) or (values.min() >= 0 and values.max() <= 1)):
        return values.astype(np.uint8, copy=False)
    bad = (values != 0) & (values != 1) & (values != -1)
    if np.any(bad):
        found = f"event {int(np.argmax(bad))} has p = {values[np.argmax(bad)]}, neither 0 nor 1, nor -1 or 1"
        raise InputError(where, found, "Make them 0 and 1; where 255 stands for -1, take p.astype('i1')")
    if np.any(values == -1) and np.any(values == 0):
        raise InputError(where, "polarities of -1, 0 and 1 are mixed", "Leave the events of 0 away")
    return (values > 0).astype(np.uint8)


def _integers(values: npt.NDArray[Any], name: str, where: str) -> npt.NDArray[Any]:
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise InputError(
            where,
            f"field '{name}' is {values.dtype} with {values.ndim} axes, not integers on one axis",
            "Convert coordinates to pixels and times to whole microseconds",
        )
    return values


def require_good(events: Events, last_time: int | None, sensor_size: Size | None, number: int) -> None:
    """Refuses a chunk that may not follow what came before.

    Args:
        events: the chunk.
        last_time: the time of the event before it [µs], None if it is the first.
        sensor_size: (width, height) of the sensor; None where events outside of it are no error.
        number: how many events came before it.

    Raises:
        InputError: times go back, a polarity is neither 0 nor 1, or an event lies outside the sensor.
    """
    back = first_backwards(events.t, last_time)
    if back is not None:
        before = events.t[back - 1] if back else last_time
        next_step = "Sort the events by time, or read them with open_recording(events, jitter=...)"
        raise InputError(f"event {number + back}", f"time {events.t[back]} µs after {before} µs goes back", next_step)
    if len(events) and events.p.max() > 1:
        at = int((events.p > 1).argmax())
        next_step = "Make the events with as_events, or give 1 for ON and 0 for OFF"
        raise InputError(f"event {number + at}", f"polarity {events.p[at]} is neither 0 nor 1", next_step)
    outside = None if sensor_size is None else first_outside(events, sensor_size)
    if sensor_size is not None and outside is not None:
        width, height = sensor_size
        found = f"({events.x[outside]}, {events.y[outside]}) is outside the sensor of {width}x{height} pixels"
        raise InputError(f"event {number + outside}", found, "Give the right sensor_size (width, height)")
