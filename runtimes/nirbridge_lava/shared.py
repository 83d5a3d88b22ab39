"""Memory that the program and its Lava Processes share: frames in, frames out, and where in time they stand.

It is anonymous and mapped before the processes fork, so nothing appears in the file system and the kernel frees it
with the last process that uses it.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from nirbridge.runtime import Array
from nirbridge_lava.gate import Gate
from nirbridge_lava.stages import Size

BUFFER_BYTES = 64 << 20
"""Bound on the frames held at a time; longer runs go through in blocks."""

_MOST_PORTIONS = 1 << 16


RUN, GIVE_STATES, TAKE_STATES = range(3)
"""Tasks of a block: data go through; processes put their states into the memory, or replace them by what is there."""


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
        task: what is done with its portions: :data:`RUN`, or states of theirs are handed over, which takes no data.
        begin: the first sample in a portion whose states are handed over.
        end: the sample behind the last.
    """

    start: int
    portions: int
    epoch: int
    parts: int
    samples: int
    first: int
    progress: int = 0
    task: int = 0
    begin: int = 0
    end: int = 0


_PROGRESS = Block._fields.index("progress")


class Areas:
    """Shared memory in areas; nobody touches it, and so it takes none, until somebody asks.

    Args:
        sizes: rows of each area by name, and values in a row, of one sample.

    Attributes:
        capacity: samples that it holds at a time.
    """

    def __init__(self, sizes: Mapping[str, Size]) -> None:
        self._sizes = dict(sizes)
        per_sample = max(1, sum(rows * values for rows, values in sizes.values()))
        self.capacity = min(max(1, BUFFER_BYTES // (8 * per_sample)), _MOST_PORTIONS)
        memory = np.frombuffer(mmap.mmap(-1, 8 * self.capacity * per_sample), dtype=np.float64)
        ends = accumulate((self.capacity * rows * values for rows, values in sizes.values()), initial=0)
        self._areas = {name: memory[begin:end] for name, (begin, end) in zip(sizes, pairwise(ends), strict=True)}
        self._slots: dict[tuple[str, int], Array] = {}

    def slots(self, name: str, samples: int) -> Array:
        """An area as (portions, rows, samples, values)."""
        found = self._slots.get((name, samples))
        if found is None:
            rows, values = self._sizes[name]
            portions, size = self.capacity // samples, rows * samples * values
            found = self._areas[name][: portions * size].reshape(portions, rows, samples, values)
            self._slots[name, samples] = found
        return found


class SharedMemory(Areas):
    """The shared memory of one network: of each input and each sink the steps of a portion, and the block under way.

    Args:
        areas: what one sample has in a portion, for each input and each sink.
        gate: what a process that holds the whole graph waits at; None where processes are stepped one by one.
        states: rows of each state, and what one sample has in a row.

    Attributes:
        states: the memory through which states are handed over.
    """

    def __init__(
        self, areas: Mapping[str, Size], gate: Gate | None = None, states: Mapping[str, Size] | None = None
    ) -> None:
        super().__init__(areas)
        self.gate = gate
        self.states = Areas(states or {})
        self._block = np.frombuffer(mmap.mmap(-1, 8 * len(Block._fields)), dtype=np.int64).data

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
