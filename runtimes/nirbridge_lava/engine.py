"""A network that runs: shared memory, Lava Processes and the runtime that steps them."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nirbridge_lava.forking import making_processes
from nirbridge_lava.network import Network
from nirbridge_lava.shared import Board, Control

if TYPE_CHECKING:
    from nirbridge_lava.guarded import GuardedRuntime

Array = NDArray[Any]


class Engine:
    """Builds and starts a network; feeds it frames and takes what its sinks keep.

    Args:
        network: what to build.

    Raises:
        ExecutionError: a process could not be built.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        kept = [unit for unit in network.units if unit.cell.process in ("FrameSource", "FrameSink")]
        self._sink_units = {unit.cell.parameters: unit.name for unit in kept if unit.cell.process == "FrameSink"}
        self._board = Board({unit.name: unit.outputs for unit in kept})
        self._steps = 0
        self._epoch = 0
        self._frames = 0
        self._runtime = _started(network, self._board)
        self._end = weakref.finalize(self, self._runtime.stop)
        self._end.atexit = False

    @property
    def fresh(self) -> bool:
        """Whether nothing has run since the last reset."""
        return self._frames == 0

    def reset(self) -> None:
        """The next frame starts from fresh states."""
        self._epoch += 1
        self._frames = 0

    def run(self, data: Mapping[str, Array], batch: int, deadline: float | None) -> dict[str, Array]:
        """Runs frames through.

        Args:
            data: (frames, values) of each input by name; step by step, sample by sample in each.
            batch: samples in a step.
            deadline: ``time.monotonic()`` at which to give up, or None.

        Returns:
            (frames, values) of each sink by its node's name.

        Raises:
            ExecutionError: a process failed, or the time is over.  The engine is closed then.
        """
        count = len(next(iter(data.values())))
        frames = self._board.frames
        results = {node: np.empty((count, frames[unit].shape[1])) for node, unit in self._sink_units.items()}
        try:
            for begin in range(0, count, self._board.capacity):
                size = min(self._board.capacity, count - begin)
                for name, values in data.items():
                    frames[name][:size] = values[begin : begin + size]
                self._run_block(size, batch, deadline)
                for node, unit in self._sink_units.items():
                    results[node][begin : begin + size] = frames[unit][:size]
        except BaseException:
            # Whatever interrupted it, Ctrl-C included, has left the processes in the middle of a step.
            self.close()
            raise
        return results

    def close(self) -> None:
        """Ends all processes."""
        self._end()

    def _run_block(self, count: int, batch: int, deadline: float | None) -> None:
        steps = count + self.network.depth
        self._board.control = Control(self._steps + 1, count, self._epoch, batch, self._frames, self._steps)
        self._runtime.run_steps(steps, lambda: self._board.progress, deadline)
        self._steps += steps
        self._frames += count


def _started(network: Network, board: Board) -> GuardedRuntime:
    """The running processes of a network."""
    runtime = None
    try:
        with making_processes():
            from nirbridge_lava.building import build, compile_processes, forget
            from nirbridge_lava.guarded import GuardedRuntime

            processes = build(network, board)
            try:
                runtime = GuardedRuntime(compile_processes(processes))
                runtime.initialize()
            finally:
                forget(processes)
    except BaseException:
        # A Ctrl-C that came meanwhile is raised when all processes run.
        if runtime is not None:
            runtime.stop()
        raise
    return runtime


def deadline_after(seconds: float | None) -> float | None:
    """``time.monotonic()`` in so many seconds; None stays None."""
    return None if seconds is None else time.monotonic() + seconds
