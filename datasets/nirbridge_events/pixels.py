"""From events to pixels of a frame: the flat index, and downsampling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from nirbridge_events import counting
from nirbridge_events.events import Events, Size

LARGEST_COUNT = 1 << 24

FloatFrame = npt.NDArray[np.float32]
Index = npt.NDArray[np.intp]


class Memory(Protocol):
    """Says where values come to lie; asked once for each window that has events, or each part of one."""

    def zeros(self) -> npt.NDArray[Any]:
        """A place of zeros."""

    def empty(self) -> npt.NDArray[Any]:
        """A place with anything in it."""


@dataclass(frozen=True)
class FreshMemory:
    """A new array each time."""

    pixels: int
    dtype: type[np.bool_] | type[np.float32] = np.float32

    def zeros(self) -> npt.NDArray[Any]:
        """See ``Memory.zeros``; the operating system has zeros, which cost nothing before they are looked at."""
        return np.zeros(self.pixels, dtype=self.dtype)

    def empty(self) -> npt.NDArray[Any]:
        """See ``Memory.empty``."""
        return np.empty(self.pixels, dtype=self.dtype)


@dataclass(frozen=True)
class PixelMap:
    """Where an event falls in a flat [P, H, W] frame.

    Sensor column x of ``sensor_size[0]`` goes to column ``x * W // sensor_size[0]``, rows likewise; so every output
    pixel is a block of whole sensor pixels.  With merged polarities P is 1, else channel 0 is OFF and channel 1 ON.
    """

    sensor_size: Size
    size: Size
    polarities: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(P, H, W) of a frame."""
        return self.polarities, self.size[1], self.size[0]

    @property
    def pixels(self) -> int:
        """Number of values in a frame."""
        return self.polarities * self.size[1] * self.size[0]

    @property
    def downsamples(self) -> bool:
        """Whether output pixels hold several sensor pixels."""
        return self.size != self.sensor_size

    def at_sensor_size(self) -> PixelMap:
        """The same map without downsampling."""
        return PixelMap(self.sensor_size, self.sensor_size, self.polarities)

    @cached_property
    def places(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], np.uint64]:
        """Where sensor rows, sensor columns and ON begin in a flat frame: an event's index is the sum of its three."""
        (width, height), (sensor_width, sensor_height) = self.size, self.sensor_size
        rows, columns = _scale(sensor_height, height, np.dtype(np.int64)), np.arange(sensor_width) * width
        plane = np.uint64(width * height if self.polarities > 1 else 0)
        return (rows * width).astype(np.uint32), (columns // sensor_width).astype(np.uint32), plane

    def flat(self, events: Events) -> Index:
        """The index of each event; computed in 32-bit integers where they suffice, which is several times as fast."""
        (width, height), (sensor_width, sensor_height) = self.size, self.sensor_size
        dtype = np.dtype(np.int32 if self.pixels < 2**31 else np.int64)
        y = events.y if height == sensor_height else _scale(sensor_height, height, dtype).take(events.y)
        x = events.x if width == sensor_width else _scale(sensor_width, width, dtype).take(events.x)
        index: npt.NDArray[Any] = y.astype(dtype)
        if self.polarities > 1:
            np.add(index, np.multiply(events.p, height, dtype=dtype), out=index)
        np.multiply(index, width, out=index)
        np.add(index, x, out=index)
        return index.astype(np.intp, copy=False)


def _scale(sensor: int, out: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return np.asarray(np.arange(sensor, dtype=np.int64) * out // sensor, dtype=dtype)


class TouchedPixels:
    """The pixels that events touched, as long as they are few; a pixel may stand in it several times."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._parts: list[Index] = []
        self._count = 0

    def add(self, index: Index) -> list[Index]:
        """Takes pixels; once they are too many, gives back all that it holds and from then on all that comes."""
        self._count += len(index)
        self._parts.append(index)
        if self._count <= self._most:
            return []
        given, self._parts = self._parts, []
        return given

    def give_up(self) -> None:
        """They are too many, whatever comes."""
        self._parts, self._count = [], self._most + 1

    def take(self) -> Index | None:
        """The pixels since the last call, None if they were too many; the next ``add`` starts anew."""
        parts, count = self._parts, self._count
        self._parts, self._count = [], 0
        if count > self._most:
            return None
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=np.intp), *parts])


class Slice:
    """Collects the events of one sub-frame.

    Args:
        pixel_map: where events fall.
        memory: says where the values come to lie; by default a new array each time.
    """

    _dtype: ClassVar[type[np.bool_] | type[np.float32]] = np.float32

    def __init__(self, pixel_map: PixelMap, memory: Memory | None = None) -> None:
        self._map = pixel_map
        self._memory = memory or FreshMemory(pixel_map.pixels, self._dtype)
        self._values: npt.NDArray[Any] | None = None

    def add(self, events: Events) -> None:
        """Takes events of this sub-frame."""
        if self._values is None:
            self._values = self._memory.zeros().reshape(-1)
        self._put(self._values, events)

    def take(self) -> npt.NDArray[Any]:
        """The values of the sub-frame, flat [pixels], the caller's own; the next ``add`` starts a new sub-frame."""
        values, self._values = self._values, None
        return self._memory.zeros().reshape(-1) if values is None else values

    def _put(self, values: npt.NDArray[Any], events: Events) -> None:
        """Puts events into the values of the sub-frame."""
        raise NotImplementedError


class SeenSlice(Slice):
    """1 where any event fell: downsampling by OR, and every coding that is binary within a sub-frame."""

    _dtype = np.bool_

    def _put(self, values: npt.NDArray[Any], events: Events) -> None:
        if compiled := counting.kernels():
            compiled.mark_events(values, self._map.places, events.x, events.y, events.p)
        else:
            values[self._map.flat(events)] = 1


class SumSlice(Slice):
    """The number of events in each output pixel: downsampling by sum.

    It counts in float32, the type of frames, where the frame comes to lie; that is exact up to ``LARGEST_COUNT`` and
    stays there.  With an addend of the array's own type, ``np.add.at`` is faster than ``np.bincount`` and its
    conversion, above all for large sensors.
    """

    def _put(self, values: npt.NDArray[Any], events: Events) -> None:
        if compiled := counting.kernels():
            compiled.count_events(values, self._map.places, events.x, events.y, events.p)
        else:
            np.add.at(values, self._map.flat(events), np.float32(1))


class MaxSlice(SumSlice):
    """The largest number of events of a sensor pixel within each output pixel: downsampling by max."""

    def __init__(self, pixel_map: PixelMap, memory: Memory | None = None) -> None:
        super().__init__(pixel_map.at_sensor_size())
        self._pooled = memory or FreshMemory(pixel_map.pixels)
        self._pooled_shape = pixel_map.shape
        self._rows = _block_starts(pixel_map.sensor_size[1], pixel_map.size[1])
        self._columns = _block_starts(pixel_map.sensor_size[0], pixel_map.size[0])

    def take(self) -> FloatFrame:
        """See ``Slice.take``."""
        full = super().take().reshape(self._map.shape)
        rows = np.maximum.reduceat(full, self._rows, axis=1)
        pooled: FloatFrame = self._pooled.empty().reshape(-1)
        np.maximum.reduceat(rows, self._columns, axis=2, out=pooled.reshape(self._pooled_shape))
        return pooled


def _block_starts(sensor: int, out: int) -> npt.NDArray[np.intp]:
    """The first sensor column of every output column: the smallest x with x * out // sensor equal to it."""
    return -(-np.arange(out) * sensor // out)


DOWNSAMPLES: dict[str, type[Slice]] = {"or": SeenSlice, "sum": SumSlice, "max": MaxSlice}
