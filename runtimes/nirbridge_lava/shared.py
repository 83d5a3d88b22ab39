"""Memory that the program and its Lava Processes share: frames in, frames out, and where in time they stand.

It is anonymous and mapped before the processes fork, so nothing appears in the file system and the kernel frees it
with the last process that uses it.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BUFFER_BYTES = 64 << 20
"""Bound on the frames held at a time; longer runs go through in blocks."""

_MOST_FRAMES = 1 << 16


class Control(NamedTuple):
    """The block of frames that is under way.

    Attributes:
        start: Lava step at which its first frame enters; its frame k reaches depth d at step start + d + k.
        frames: how many it has.
        epoch: number of the last reset; a process that sees a new one starts from fresh states.
        batch: frames that belong to one step; frame k of the stream belongs to sample k modulo batch.
        first: position of its first frame in the stream since the reset.
        progress: the last Lava step that an input has begun, written by the processes.
    """

    start: int
    frames: int
    epoch: int
    batch: int
    first: int
    progress: int = 0


_PROGRESS = Control._fields.index("progress")


class Board:
    """The shared memory of one network.

    Args:
        sizes: values in a frame, for each input and each sink by name.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        per_frame = sum(sizes.values())
        self.capacity = min(max(1, BUFFER_BYTES // (8 * per_frame)), _MOST_FRAMES)
        header = len(Control._fields)
        memory = np.frombuffer(mmap.mmap(-1, 8 * (header + self.capacity * per_frame)), dtype=np.float64)
        self._control = memory[:header].view(np.int64)
        self.frames: dict[str, Array] = {}
        begin = header
        for name, size in sizes.items():
            end = begin + self.capacity * size
            self.frames[name] = memory[begin:end].reshape(self.capacity, size)
            begin = end

    @property
    def control(self) -> Control:
        """The block under way."""
        return Control(*self._control.tolist())

    @control.setter
    def control(self, block: Control) -> None:
        self._control[:] = block

    @property
    def progress(self) -> int:
        """The last Lava step that an input has begun."""
        return int(self._control[_PROGRESS])

    @progress.setter
    def progress(self, step: int) -> None:
        self._control[_PROGRESS] = step
