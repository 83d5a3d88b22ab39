"""Windows through a program: several in one call, and what belongs to each of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nirbridge.errors import InputError
from nirbridge_events.pixels import FloatFrame
from nirbridge_events.windows import Window

Record = npt.NDArray[Any]


class Advanced(Protocol):
    """What a program gives back."""

    @property
    def output(self) -> Any:
        """[T, 1, *out]."""

    @property
    def records(self) -> dict[str, Record]:
        """[T, 1, *shape] of each recorded node."""


class StreamProgram(Protocol):
    """The part of a compiled program that streaming needs.

    A program of a graph that works on windows of several steps says so in ``plan.block``.
    """

    def advance(self, x: FloatFrame, record: Sequence[str] = ()) -> Advanced:
        """Frames [T, 1, P, H, W] in; the state carries over."""

    def reset(self) -> None:
        """Back to the initial state."""


class Calls:
    """Gives windows to a program.

    Attributes:
        unit: the smallest number of windows that the program takes at once.
    """

    def __init__(self, program: StreamProgram, frames_per_window: int, record: Sequence[str]) -> None:
        self._program = program
        self._frames = frames_per_window
        self._record = tuple(record)
        steps = int(getattr(getattr(program, "plan", None), "block", 1))
        self.unit = steps // math.gcd(steps, frames_per_window)

    def warm_up(self, frame_shape: tuple[int, ...]) -> int:
        """Runs the program on empty windows and resets it; gives the number of its scores.

        Raises:
            InputError: the graph has several outputs.
        """
        steps = self.unit * self._frames
        done = self._program.advance(np.zeros((steps, 1, *frame_shape), dtype=np.float32), self._record)
        self._program.reset()
        return math.prod(_only_output(done).shape[1:])

    def run(self, windows: Sequence[Window]) -> list[tuple[Record, dict[str, Record]]]:
        """The outputs [k, 1, *out] and the records of each window.

        Where the graph needs more windows than there are, which only happens at the end, empty ones follow.

        Raises:
            InputError: the graph has several outputs.
        """
        count = -(-len(windows) // self.unit) * self.unit
        frames = np.concatenate([window.frames for window in windows])
        missing = np.zeros(((count - len(windows)) * self._frames, *frames.shape[1:]), dtype=np.float32)
        done = self._program.advance(np.concatenate((frames, missing))[:, np.newaxis], self._record)
        output = _only_output(done)
        return [
            (
                _share(output, i, count),
                {name: _share(record, i, count) for name, record in done.records.items()},
            )
            for i in range(len(windows))
        ]


def _only_output(done: Advanced) -> Record:
    if isinstance(done.output, dict):
        found = f"has {len(done.output)} outputs: {', '.join(done.output)}"
        raise InputError("model", found, "Use a model with one output")
    return np.asarray(done.output)


def spike_rate(record: Record) -> float:
    """The share of neurons and steps in which a node sent something, 0..1."""
    return float(np.count_nonzero(record) / record.size) if record.size else 0.0


def _share(steps: Record, i: int, count: int) -> Record:
    """The steps of window ``i`` of ``count``; a graph that changes the rate may give some windows none."""
    return steps[i * len(steps) // count : (i + 1) * len(steps) // count]
