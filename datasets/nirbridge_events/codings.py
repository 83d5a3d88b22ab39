"""The codings: what each makes of the events of a window.  To add one: a class here and a row in ``CODERS``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events
from nirbridge_events.pixels import (
    DOWNSAMPLES,
    LARGEST_COUNT,
    FloatFrame,
    Memory,
    SeenSlice,
    Slice,
    SumSlice,
    TouchedPixels,
)
from nirbridge_events.quantise import Quantiser
from nirbridge_events.settings import EncoderSettings

Values = npt.NDArray[Any]

FEW = 8
"""A frame with less than one event for so many pixels is coded event by event, not pixel by pixel."""


class Coder:
    """Collects the events of one window, part after part, and codes them.

    Args:
        settings: of the encoder.
        memory: says where the values of each window come to lie.

    Attributes:
        saturated: values cut so far to what a frame can hold.
    """

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        self.saturated = 0
        self._memory, self._map = memory, settings.pixel_map

    def add(self, events: Events, t_start: int) -> None:
        """Takes events of the current part of the window that begins at ``t_start``."""
        raise NotImplementedError

    def close_part(self) -> None:
        """Ends the current part; nothing to do where a window is one part, or parts do not matter."""

    def take(self, events: int, t_end: int) -> FloatFrame:
        """The values [K, pixels] of the window, which held that many events and ends at ``t_end``.

        A new window begins.  Windows without events are left out, unless the coding is one of ``REMEMBER``.
        """
        raise NotImplementedError


class BinaryCoder(Coder):
    """y = 1 where any event fell."""

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._seen = SeenSlice(self._map, memory)

    def add(self, events: Events, _t_start: int) -> None:
        """See ``Coder.add``."""
        self._seen.add(events)

    def take(self, _events: int, _t_end: int) -> FloatFrame:
        """See ``Coder.take``."""
        return self._seen.take()[np.newaxis]


class CountCoder(Coder):
    """y = c = Σ_j r_j over the parts of a window, cut to 2^24, up to which float32 counts exactly."""

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._parts = settings.parts
        # A lone part counts where the frame comes to lie.
        self._part = _merged(settings, memory if self._parts == 1 else None)
        self._sum: Values | None = None

    def add(self, events: Events, _t_start: int) -> None:
        """See ``Coder.add``."""
        self._part.add(events)

    def close_part(self) -> None:
        """See ``Coder.close_part``; a lone part needs no sum."""
        if self._parts == 1:
            return
        values = self._part.take()
        if self._sum is None:
            self._sum = values.astype(np.float32, copy=False)
        else:
            np.add(self._sum, values, out=self._sum)

    def take(self, events: int, _t_end: int) -> FloatFrame:
        """See ``Coder.take``."""
        total, self._sum = self._sum, None
        counts = self._part.take() if total is None else total
        if events > LARGEST_COUNT:
            self.saturated += int((counts >= LARGEST_COUNT).sum())
        return counts[np.newaxis]


class OneHotCoder(Coder):
    """y = 2^round(log2 c) of the c parts that saw an event, cut to the highest lane.

    Its memory is kept from window to window: frames of large sensors cost more to allocate than to fill.  As long as
    events are few beside the pixels of a frame, only the pixels that they touch are counted, quantised and cleared.
    """

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._quantiser = Quantiser(settings.parts, settings.lanes)
        self._seen = np.zeros(self._map.pixels, dtype=np.uint8)
        self._counts = np.zeros(self._map.pixels, dtype=self._quantiser.dtype)
        self._part = TouchedPixels(self._map.pixels // FEW)
        self._window = TouchedPixels(self._map.pixels // FEW)

    def add(self, events: Events, _t_start: int) -> None:
        """See ``Coder.add``."""
        for index in self._part.add(self._map.flat(events)):
            self._seen[index] = 1

    def close_part(self) -> None:
        """See ``Coder.close_part``."""
        index = self._part.take()
        if index is None:
            np.add(self._counts, self._seen, out=self._counts)
            self._seen.fill(0)
            self._window.give_up()
        else:
            # A pixel that stands several times in the index is counted once.
            self._counts[index] += 1
            self._window.add(index)

    def take(self, _events: int, _t_end: int) -> FloatFrame:
        """See ``Coder.take``."""
        index = self._window.take()
        if index is not None and not self._quantiser.cuts:
            frames: FloatFrame = self._memory.zeros().reshape(1, -1)
            frames[0][index] = self._quantiser.values(self._counts.take(index))
            self._counts[index] = 0
            return frames
        self.saturated += self._quantiser.count_cut(self._counts)
        frames = self._memory.empty().reshape(1, -1)
        self._quantiser.values(self._counts, frames[0])
        self._counts.fill(0)
        return frames


class PhaseCoder(Coder):
    """x_k = the digit of weight 2^(K-k) of min(c, 2^K - 1), k = 1..K; so Σ_k 2^-k x_k = c / 2^K."""

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._part = _merged(settings)
        self._phases, self._largest = settings.phases, np.float32((1 << settings.phases) - 1)
        self._dtype = np.dtype(np.uint8 if settings.phases <= 8 else np.uint32)

    def add(self, events: Events, _t_start: int) -> None:
        """See ``Coder.add``."""
        self._part.add(events)

    def take(self, events: int, _t_end: int) -> FloatFrame:
        """See ``Coder.take``."""
        counts = self._part.take()
        frames: FloatFrame = self._memory.zeros().reshape(self._phases, -1)
        at = np.flatnonzero(counts) if events * FEW <= len(counts) else slice(None)
        found = counts[at]
        self.saturated += int((found > self._largest).sum())
        digits: Values = np.minimum(found, self._largest).astype(self._dtype)
        for k in range(self._phases):
            digit = digits >> (self._phases - 1 - k) & 1
            if digit.any():
                frames[k][at] = digit
        return frames


class VoxelCoder(Coder):
    """y_b = Σ_i max(0, 1 - |b - τ_i|) with τ_i = (B - 1)(t_i - t_start)/window, b = 0..B-1.

    The weights are whole multiples of 1/window and are summed as integers, so that the result does not depend on how
    the events were cut into chunks.
    """

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._bins, self._window = settings.bins, settings.window
        self._sums = np.zeros(self._bins * self._map.pixels, dtype=np.int64)
        self._touched = TouchedPixels(len(self._sums) // FEW)

    def add(self, events: Events, t_start: int) -> None:
        """See ``Coder.add``."""
        below, after = np.divmod((events.t - t_start) * (self._bins - 1), self._window)
        place = below * self._map.pixels + self._map.flat(events)
        for at, share in ((place, self._window - after), (place + self._map.pixels, after)):
            np.add.at(self._sums, at, share)
            self._touched.add(at)

    def take(self, _events: int, _t_end: int) -> FloatFrame:
        """See ``Coder.take``."""
        frames: FloatFrame = self._memory.zeros().reshape(self._bins, -1)
        index = self._touched.take()
        at = slice(None) if index is None else index
        frames.reshape(-1)[at] = self._sums[at] / self._window
        self._sums[at] = 0
        return frames


class TimeSurfaceCoder(Coder):
    """y = exp(-(t_end - t_last)/tau), t_last being the time of a pixel's last event in any window; 0 if it had none.

    Where pixels merge, the last event of any of them counts.
    """

    def __init__(self, settings: EncoderSettings, memory: Memory) -> None:
        super().__init__(settings, memory)
        self._tau = settings.tau
        self._last = np.zeros(self._map.pixels, dtype=np.int64)
        self._seen = np.zeros(self._map.pixels, dtype=np.bool_)

    def add(self, events: Events, _t_start: int) -> None:
        """See ``Coder.add``; of several times that are written to a pixel the last one stays."""
        index = self._map.flat(events)
        self._last[index] = events.t
        self._seen[index] = True

    def take(self, _events: int, t_end: int) -> FloatFrame:
        """See ``Coder.take``; what was seen stays."""
        surface: FloatFrame = self._memory.zeros().reshape(1, -1)
        # No event is later than the last µs, from which unsigned numbers count right however old an event is.
        before_last = np.uint64((t_end - 1) % (1 << 64)) - self._last[self._seen].view(np.uint64)
        surface[0, self._seen] = np.exp(-(before_last + 1.0) / self._tau)
        return surface


REMEMBER = ("time-surface",)
"""Codings whose frames depend on earlier windows, and are not 0 where a window has no event."""

CODERS: dict[str, type[Coder]] = {
    "binary": BinaryCoder,
    "count": CountCoder,
    "one-hot": OneHotCoder,
    "phase": PhaseCoder,
    "voxel": VoxelCoder,
    "time-surface": TimeSurfaceCoder,
}


def _merged(settings: EncoderSettings, memory: Memory | None = None) -> Slice:
    """How sensor pixels merge before they are counted; without downsampling every event counts."""
    pixel_map = settings.pixel_map
    kind = DOWNSAMPLES[settings.downsample or "sum"] if pixel_map.downsamples else SumSlice
    return kind(pixel_map, memory)
