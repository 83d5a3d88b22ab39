"""Memory that the program and its Lava Processes share: frames in, frames out, and where in time they stand.

It is anonymous and mapped before the processes fork, so nothing appears in the file system and the kernel frees it
with the last process that uses it.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from nirbridge.runtime import Array
from nirbridge_lava.gate import Gate
from nirbridge_lava.stages import Size

BUFFER_BYTES = 64 << 20
"""Bound on the frames held at a time; longer runs go through in blocks."""

_MOST_PORTIONS = 1 << 16


class Block(NamedTuple):
    """The block of portions that is under way.

    A *portion* is what the network takes in one Lava step: the steps that form whole windows (one, mostly) of some
    samples of the batch.

    Attributes:
        start: Lava step at which its first portion enters; its portion k reaches depth d at step start + d + k.
        portions: how many it has.
        epoch: number of the last reset; a process that sees a new one starts from fresh states.
        parts: portions that make up the batch; portion k of the stream belongs to part k modulo parts.
        samples: samples in a portion.
        first: position of its first portion in the stream since the reset.
        progress: changes while the network moves, written by the processes.
    """

    start: int
    portions: int
    epoch: int
    parts: int
    samples: int
    first: int
    progress: int = 0


_PROGRESS = Block._fields.index("progress")


class SharedMemory:
    """The shared memory of one network.

    Args:
        areas: what one sample has in a portion, for each input and each sink.
        gate: what a process that holds the whole graph waits at; None where processes are stepped one by one.
    """

    def __init__(self, areas: Mapping[str, Size], gate: Gate | None = None) -> None:
        self.gate = gate
        self.sizes = dict(areas)
        per_sample = sum(steps * values for steps, values in areas.values())
        self.capacity = min(max(1, BUFFER_BYTES // (8 * per_sample)), _MOST_PORTIONS)
        header = len(Block._fields)
        memory = np.frombuffer(mmap.mmap(-1, 8 * (header + self.capacity * per_sample)), dtype=np.float64)
        self._block = memory[:header].view(np.int64).data
        self._areas: dict[str, Array] = {}
        self._slots: dict[tuple[str, int], Array] = {}
        begin = header
        for name, (steps, values) in areas.items():
            end = begin + self.capacity * steps * values
            self._areas[name] = memory[begin:end]
            begin = end

    def slots(self, name: str, samples: int) -> Array:
        """The memory of an input or sink as (portions, steps, samples, values)."""
        found = self._slots.get((name, samples))
        if found is None:
            steps, values = self.sizes[name]
            size = steps * samples * values
            portions = self.capacity // samples
            found = self._areas[name][: portions * size].reshape(portions, steps, samples, values)
            self._slots[name, samples] = found
        return found

    @property
    def block(self) -> Block:
        """The block under way."""
        return Block(*self._block.tolist())

    @block.setter
    def block(self, block: Block) -> None:
        for place, value in enumerate(block):
            self._block[place] = value

    @property
    def progress(self) -> int:
        """A number that changes while the network moves."""
        return int(self._block[_PROGRESS])

    def move(self) -> None:
        """Tells that something moved; of two processes at the same time one may be lost."""
        self._block[_PROGRESS] += 1


class ChannelMemory:
    """The memory of Lava's channels, in place of that of its SharedMemoryManager."""

    def create_shared_memory(self, size: int) -> ChannelArea:
        """Memory of one channel in bytes."""
        return ChannelArea(memoryview(mmap.mmap(-1, size)))


class ChannelArea(NamedTuple):
    """What Lava's ports read of a ``SharedMemory``."""

    buf: memoryview
