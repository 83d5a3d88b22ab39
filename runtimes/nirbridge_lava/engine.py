"""A network that runs: shared memory, Lava Processes and the runtime that steps them."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nirbridge.logs import logger
from nirbridge.reports import counted, seconds_text
from nirbridge.runtime import Array
from nirbridge_lava.forking import making_processes
from nirbridge_lava.gate import Gate
from nirbridge_lava.shared import GIVE_STATES, RUN, TAKE_STATES, Block, SharedMemory
from nirbridge_lava.stages import Network, in_area, out_area

if TYPE_CHECKING:
    from nirbridge_lava.guarded import GuardedRuntime


LOGGER = logger("runtime.lava")
MOST_SAMPLES = 256
"""Bound on the samples of a portion, so that one Lava step of a big network does not take minutes."""


class Engine:
    """Builds and starts a network; feeds it frames and takes what its sinks keep.

    Args:
        network: what to build.

    Raises:
        ExecutionError: a process could not be built.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._gate = Gate() if network.fused else None
        self._memory = SharedMemory(network.areas, self._gate, network.states)
        self._steps = 0
        self._epoch = 0
        self._portions = 0
        try:
            began = time.perf_counter()
            self._runtime = _started(network, self._memory)
        except BaseException:
            _end(None, self._gate)
            raise
        count = 1 if network.fused else len(network.stages)
        LOGGER.info("started %s, %s", counted(count, "process", "processes"), seconds_text(time.perf_counter() - began))
        self._end = weakref.finalize(self, _end, self._runtime, self._gate)
        self._end.atexit = False

    @property
    def fresh(self) -> bool:
        """Whether nothing has run since the last reset."""
        return self._portions == 0

    def reset(self) -> None:
        """The next step starts from fresh states."""
        self._epoch += 1
        self._portions = 0

    def run(self, data: Mapping[str, Array], deadline: float | None) -> dict[str, Array]:
        """Runs frames through.

        Args:
            data: (steps, batch, values) of each input by name; the batch is that of all calls since the last reset.
            deadline: ``time.monotonic()`` at which to give up, or None.

        Returns:
            (steps, batch, values) of each sink by its node's name.

        Raises:
            ExecutionError: a process failed, or the time is over.  The engine is closed then.
        """
        network, memory = self.network, self._memory
        steps, batch = next(iter(data.values())).shape[:2]
        cut = self._cut(batch)
        samples = cut.samples
        blocks = steps // network.steps
        inputs = [(memory.slots(in_area(name), samples), values) for name, values in data.items()]
        slots = {name: memory.slots(out_area(name), samples) for name in network.sinks}
        results = {name: np.empty((blocks * s.shape[1], batch, s.shape[3])) for name, s in slots.items()}
        portions, room = blocks * cut.parts, memory.capacity // samples
        try:
            begin = 0
            while begin < portions:
                end = min(begin + room, portions, begin + self._runtime.room)
                places = [cut.place(number) for number in range(begin, end)]
                begin = end
                for area, values in inputs:
                    for frames, now in cut.pairs(area, values, places):
                        frames[:] = now
                self._go(len(places), cut, self._portions, deadline)
                self._portions += len(places)
                for name, area in slots.items():
                    for frames, now in cut.pairs(area, results[name], places):
                        now[:] = frames
        except BaseException:
            # Whatever interrupted it, Ctrl-C included, has left the processes in the middle of a step.
            self.close()
            raise
        return results

    def close(self) -> None:
        """Ends all processes."""
        self._end()

    def states(self, batch: int, deadline: float | None) -> dict[str, Array]:
        """(rows, batch, values) of every state by name, for the batch that has run; errors as of :meth:`run`."""
        found = {name: np.empty((rows, batch, values)) for name, (rows, values) in self.network.states.items()}
        self._hand_over(GIVE_STATES, found, batch, deadline)
        return found

    def restore(self, states: Mapping[str, Array], batch: int, deadline: float | None) -> None:
        """Goes on from (rows, batch, values) of every state by name; errors as of :meth:`run`."""
        self.reset()
        self._hand_over(TAKE_STATES, states, batch, deadline)
        self._portions = self._cut(batch).parts

    def _hand_over(self, task: int, states: Mapping[str, Array], batch: int, deadline: float | None) -> None:
        if not states:
            return
        cut, memory = self._cut(batch), self._memory.states
        room, width = max(1, memory.capacity // cut.samples), min(cut.samples, memory.capacity)
        try:
            for first in range(0, cut.parts, room):
                parts = range(first, min(first + room, cut.parts))
                for begin in range(0, cut.samples, width):
                    end = min(begin + width, cut.samples)
                    where = cut, parts, slice(begin, end)
                    pairs = [pair for name, array in states.items() for pair in self._pairs(name, array, *where)]
                    if task == TAKE_STATES:
                        for shared, own in pairs:
                            shared[:] = own
                    self._go(len(parts), cut, first, deadline, task, begin, end)
                    if task == GIVE_STATES:
                        for shared, own in pairs:
                            own[:] = shared
        except BaseException:
            self.close()
            raise

    def _pairs(
        self, name: str, values: Array, cut: _Cut, parts: range, samples: slice
    ) -> Iterator[tuple[Array, Array]]:
        """A state in shared memory, and the same samples of it in an array of the whole batch."""
        slots = self._memory.states.slots(name, samples.stop - samples.start)
        for slot, part in zip(slots, parts, strict=False):
            first = part * cut.samples
            own = values[:, first + samples.start : min(first + samples.stop, cut.batch)]
            yield slot[:, : own.shape[1]], own

    def _cut(self, batch: int) -> _Cut:
        most = self._memory.capacity if self.network.fused else 1
        samples = ceil(batch / ceil(batch / min(most, MOST_SAMPLES)))
        return _Cut(ceil(batch / samples), samples, batch)

    def _go(
        self, count: int, cut: _Cut, first: int, deadline: float | None, task: int = RUN, begin: int = 0, end: int = 0
    ) -> None:
        """Has the processes do a block of ``count`` portions."""
        steps, progress = count + self.network.depth, self._memory.progress
        where = (self._steps + 1, count, self._epoch, cut.parts, cut.samples, first, progress)
        self._memory.block = Block(*where, task, begin, end)
        if self._gate is None:
            self._runtime.run_steps(steps, lambda: self._memory.progress, deadline)
        else:
            # A hand-over takes no portion of the Lava step that the process is in.
            self._runtime.run_through(count if task == RUN else 0, self._gate, lambda: self._memory.progress, deadline)
        self._steps += steps


class _Cut(NamedTuple):
    """How a batch is cut into portions."""

    parts: int
    samples: int
    batch: int

    def place(self, number: int) -> tuple[int, slice]:
        """Of the portion ``number`` of a run: which block of steps, and which samples."""
        block, part = divmod(number, self.parts)
        return block, slice(part * self.samples, min(self.batch, (part + 1) * self.samples))

    def pairs(self, area: Array, values: Array, places: list[tuple[int, slice]]) -> Iterator[tuple[Array, Array]]:
        """What belongs together in shared memory and in data of the caller."""
        steps = area.shape[1]
        if self.parts == 1:
            # Whole batches in a row, as they mostly are.
            begin, end = places[0][0], places[-1][0] + 1
            slots = area[: end - begin]
            yield slots.reshape(-1, *slots.shape[2:]), values[begin * steps : end * steps]
            return
        for slot, (block, samples) in zip(area, places, strict=False):
            yield slot[:, : samples.stop - samples.start], values[block * steps : (block + 1) * steps, samples]


def _started(network: Network, memory: SharedMemory) -> GuardedRuntime:
    """The running processes of a network."""
    runtime = None
    try:
        with making_processes():
            from nirbridge_lava.building import build, compile_processes, forget
            from nirbridge_lava.guarded import GuardedRuntime

            processes = build(network, memory)
            try:
                runtime = GuardedRuntime(compile_processes(processes, network.model))
                runtime.initialize()
            finally:
                forget(processes)
    except BaseException:
        # A Ctrl-C that came meanwhile is raised when all processes run.
        if runtime is not None:
            runtime.stop()
        raise
    return runtime


def _end(runtime: GuardedRuntime | None, gate: Gate | None) -> None:
    if runtime is not None:
        runtime.stop()
    if gate is not None:
        gate.close()


def deadline_after(seconds: float | None) -> float | None:
    """``time.monotonic()`` in so many seconds; None stays None."""
    return None if seconds is None else time.monotonic() + seconds
