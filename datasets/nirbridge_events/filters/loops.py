"""Loops over events, which numpy has no form of, as machine code once that is worth it.

Each is written once, over anything that is indexed: compiled over arrays, or interpreted over lists of Python's own
numbers, which is twice as fast as over numpy's and what remains where numba is missing.  So both give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events.counting import WORTH_LOADING

Array = npt.NDArray[Any]

NEVER = -(1 << 63)
"""The time of a pixel's last event, where there was none; no camera reaches the one event that could have it."""


class _Usage:
    """What this process filtered so far, and whether it can compile at all."""

    events = 0
    possible = True


class Memory:
    """A table of numbers that a loop reads and writes: a list, or an array once the loop is compiled."""

    def __init__(self, values: Array) -> None:
        self.values: Any = values

    def kept_as(self, array: bool) -> Any:
        """The numbers as an array or as a list, whatever they were before."""
        if array and isinstance(self.values, list):
            self.values = np.array(self.values, dtype=np.int64)
        elif not array and not isinstance(self.values, list):
            self.values = self.values.tolist()
        return self.values


class Loop:
    """A function ``f(at, *columns, *memories, *numbers) -> kept`` that writes the places of events that stay to ``at``.

    Args:
        function: the loop.
    """

    def __init__(self, function: Callable[..., int]) -> None:
        self._function = function
        self._compiled: Callable[..., int] | None = None

    def run(self, columns: tuple[Array, ...], memories: tuple[Memory, ...], *numbers: int) -> Array:
        """The places of the events that stay."""
        count = len(columns[0])
        compiled = self._ready(count)
        at = np.empty(count, dtype=np.int64)
        tables = [memory.kept_as(array=compiled is not None) for memory in memories]
        if compiled is not None:
            return at[: compiled(at, *columns, *tables, *numbers)]
        kept = [0] * count
        number = self._function(kept, *(column.tolist() for column in columns), *tables, *numbers)
        return np.array(kept[:number], dtype=np.int64)

    def _ready(self, events: int) -> Callable[..., int] | None:
        """The machine code, if enough events were filtered to load numba for it."""
        _Usage.events += events
        if self._compiled is None and _Usage.possible and _Usage.events >= WORTH_LOADING:
            from nirbridge.machine_code import compiled

            try:
                self._compiled = compiled(self._function, nogil=True)
            except ImportError:
                _Usage.possible = False
        return self._compiled


def compile_at_once() -> None:
    """From now on loops are compiled for the first event: a live stream must not wait for that in its middle."""
    _Usage.events = max(_Usage.events, WORTH_LOADING)
