"""Events as a structure of arrays, the form in which chunks travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError

Size = tuple[int, int]

_DTYPES = [np.dtype(name) for name in ("u2", "u2", "i8", "u1")]
EVENT_DTYPE = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "u1")])


@dataclass(frozen=True, slots=True)
class Events:
    """A run of events in recorded order.

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
        found = [(values.dtype, values.shape) for values in (self.x, self.y, self.t, self.p)]
        if found != [(dtype, self.t.shape) for dtype in _DTYPES] or self.t.ndim != 1:
            next_step = "Make them with as_events from a structured array"
            raise InputError("Events", f"x, y, t, p are {found}, not uint16, uint16, int64, uint8 [N]", next_step)

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, part: slice) -> Events:
        return Events(self.x[part], self.y[part], self.t[part], self.p[part])

    def select(self, at: npt.NDArray[Any]) -> Events:
        """The events where a mask is true, or at places in their order."""
        return Events(self.x[at], self.y[at], self.t[at], self.p[at])

    def to_array(self) -> npt.NDArray[Any]:
        """The events as one structured array with the fields t, x, y and p."""
        array = np.empty(len(self), dtype=EVENT_DTYPE)
        for name in ("t", "x", "y", "p"):
            array[name] = getattr(self, name)
        return array

    @staticmethod
    def concatenate(parts: Sequence[Events]) -> Events:
        """One run made of all ``parts``, which may be none."""
        if not parts:
            return as_events(np.empty(0, dtype=EVENT_DTYPE))
        if len(parts) == 1:
            return parts[0]
        return Events(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "t", "p")))


def as_events(source: Events | npt.NDArray[Any], where: str = "events") -> Events:
    """Events from a structured array with the fields x, y, t [µs] and p, in any integer types.

    A polarity above 0 is ON, so that 0/1, False/True and -1/+1 all read rightly.

    Raises:
        InputError: a field is missing, is not of an integer type, or an x or y is outside 0..65535.
    """
    if isinstance(source, Events):
        return source
    fields = getattr(getattr(source, "dtype", None), "fields", None) or {}
    if any(name not in fields for name in "xytp"):
        found = f"fields {tuple(fields)}" if fields else f"a {type(source).__name__} without fields"
        raise InputError(where, f"{found} instead of x, y, t and p", "Pass a structured array with these four fields")
    t = _integers(source["t"], "t", where).astype(np.int64)
    p = (source["p"] > 0).astype(np.uint8)
    return Events(_coordinate(source["x"], "x", where), _coordinate(source["y"], "y", where), t, p)


def first_backwards(t: npt.NDArray[np.int64], previous: int | None = None) -> int | None:
    """Index of the first time that is smaller than the one before it, or None."""
    if len(t) and previous is not None and t[0] < previous:
        return 0
    back = t[1:] < t[:-1]
    return int(back.argmax()) + 1 if back.any() else None


def first_outside(events: Events, sensor_size: Size) -> int | None:
    """Index of the first event outside a sensor of (width, height), or None."""
    width, height = sensor_size
    if not len(events) or (events.x.max() < width and events.y.max() < height):
        return None
    return int(((events.x >= width) | (events.y >= height)).argmax())


def as_size(size: Sequence[int], where: str) -> Size:
    """A (width, height) pair of positive integers.

    Raises:
        InputError: it is anything else.
    """
    try:
        width, height = (int(value) for value in size)
        whole = [width, height] == list(size)
    except (TypeError, ValueError):
        whole = False
    if not whole or not (0 < width <= 65536 and 0 < height <= 65536):
        raise InputError(where, f"{size!r} is not (width, height) with both in 1..65536", "Give it as (346, 260)")
    return width, height


def _integers(values: npt.NDArray[Any], name: str, where: str) -> npt.NDArray[Any]:
    if values.dtype.kind not in "iu" or values.ndim != 1:
        raise InputError(
            where,
            f"field '{name}' is {values.dtype} with {values.ndim} axes, not integers on one axis",
            "Convert coordinates to pixels and times to whole microseconds",
        )
    return values


def _coordinate(values: npt.NDArray[Any], name: str, where: str) -> npt.NDArray[np.uint16]:
    values = _integers(values, name, where)
    if len(values) and (values.min() < 0 or values.max() > 65535):
        index = int(((values < 0) | (values > 65535)).argmax())
        raise InputError(where, f"event {index} has {name} = {values[index]}, outside 0..65535", "Remove such events")
    return values.astype(np.uint16)
