"""Loops over events, which numpy has no form of, as machine code once that is worth it.

Each is written once, over anything that is indexed: compiled over arrays, or interpreted over lists of Python's own
numbers, which are faster one by one than numpy's; that is what remains where numba is missing.  So both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nirbridge_events.events import Events

Array = npt.NDArray[Any]

WORTH_LOADING = 1 << 18
"""Events of a process from which on numba is loaded: for so many that takes no longer than to interpret the loops."""


class _Usage:
    """What this process filtered so far, and whether it can compile at all."""

    events = 0
    possible = True


class Memory:
    """A table of numbers that a loop reads and writes: a list, or an array once the loop is compiled."""

    def __init__(self, values: Array) -> None:
        self.values: Any = values
        self._dtype = values.dtype

    def kept_as(self, array: bool) -> Any:
        """The numbers as an array or as a list, whatever they were before."""
        if array and isinstance(self.values, list):
            self.values = np.array(self.values, dtype=self._dtype)
        elif not array and not isinstance(self.values, list):
            self.values = self.values.tolist()
        return self.values


class Loop:
    """Goes through events one by one and writes those that stay.

    Args:
        function: ``f(x_out, y_out, t_out, p_out, x, y, t, p, memory, *places, *numbers)``; it returns how many stay.
    """

    def __init__(self, function: Callable[..., int]) -> None:
        self._function = function
        self._compiled: Callable[..., int] | None = None

    def run(self, events: Events, memory: Memory, places: Sequence[int] = (), numbers: Sequence[int] = ()) -> Events:
        """The events that stay.

        Args:
            events: what comes in.
            memory: what the loop remembers.
            places: numbers that indices are made of; unsigned, so that nothing looks whether an index is negative.
            numbers: other numbers.
        """
        columns = [_plain(column) for column in (events.x, events.y, events.t, events.p)]
        compiled = self._ready(len(events))
        table = memory.kept_as(array=compiled is not None)
        if compiled is not None:
            out = [np.empty(len(events), dtype=column.dtype) for column in columns]
            kept = compiled(*out, *columns, table, *map(np.uint64, places), *numbers)
            return Events(*(_slice(values, kept) for values in out))
        lists: list[Any] = [[0] * len(events) for _ in columns]
        kept = self._function(*lists, *(column.tolist() for column in columns), table, *places, *numbers)
        x, y, t, p = (values[:kept] for values in lists)
        return Events(np.array(x, np.uint16), np.array(y, np.uint16), np.array(t, np.int64), np.array(p, np.uint8))

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


def _plain(column: Array) -> Array:
    """The column as an array of the one kind that is compiled for."""
    return column if column.flags.carray else column.copy()


def _slice(values: Array, kept: int) -> Array:
    """The first values; few of them do not keep the memory of many."""
    return values[:kept] if 2 * kept > len(values) else values[:kept].copy()


def compile_at_once() -> None:
    """From now on loops are compiled for the first event: a live stream must not wait for that in its middle."""
    _Usage.events = max(_Usage.events, WORTH_LOADING)
