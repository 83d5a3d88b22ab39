"""What a crew is, and the order in which it takes pieces and gives results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from nirbridge.errors import ExecutionError, brief
from nirbridge.workers.messages import opened

C = TypeVar("C", bound="Crew")
P = TypeVar("P")
R = TypeVar("R")
S = TypeVar("S")

AHEAD = 2
"""Pieces in flight for each worker: one that it does, one that waits for it."""
LOSSES = 3
"""A piece that loses its worker so often is taken for the reason."""


class Begun(Protocol):
    """A piece in flight: a future, or what does as one."""

    def result(self) -> bytes:
        """Waits for the answer, which :func:`nirbridge.workers.messages.opened` opens."""

    def add_done_callback(self, call: Callable[[Any], object], /) -> None:
        """``call`` gets this object when ``result`` need not wait."""


Begin = Callable[[int, Any], Begun]
"""Hands the number of a piece and the piece to the workers."""


class Crew(ABC):
    """Workers that do the same work on many pieces; a context manager, which ends those that it started.

    Attributes:
        size: workers, each with one piece at a time; those of a cluster come and go.
        remarks: what a user should know, as "2 processes of one thread each".
    """

    size: int
    remarks: tuple[str, ...]

    def __enter__(self: C) -> C:
        self._open()
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def map(
        self,
        work: Callable[[S, P], R],
        pieces: Iterable[P],
        shared: S = None,  # type: ignore[assignment]
        ordered: bool = True,
    ) -> Iterator[R]:
        """Gives ``work(shared, piece)`` for each piece, in the order of the pieces.

        Pieces are taken as workers need them, about two for each, so that memory does not grow with their number. What
        a lost worker was doing is done again by another one. An early end (``close`` of the generator, an exception,
        Ctrl-C) begins no further piece and ends those of our own workers that are busy; the crew stays usable.

        Args:
            work: a function at the top of a module, which workers import by its name.
            pieces: data that can be pickled; any iterable, also an endless one.
            shared: goes to each worker once, and to those that come later; each has a copy of its own.
            ordered: False gives each result as soon as it is known.

        Raises:
            ExecutionError: a piece lost its worker three times, or no worker can be had.
            Exception: what ``work`` raised, in the place of the result.
        """
        finished: SimpleQueue[Begun] = SimpleQueue()
        begun: dict[Begun, None] = {}
        left = enumerate(pieces)
        with self._working(work, shared) as begin:

            def fill() -> None:
                while len(begun) < AHEAD * self.size and (following := next(left, None)) is not None:
                    one = begin(*following)
                    begun[one] = None
                    if not ordered:
                        one.add_done_callback(finished.put)

            fill()
            while begun:
                one = next(iter(begun)) if ordered else finished.get()
                result = opened(one.result())  # in the thread that asks: errors and warnings come in its order
                del begun[one]
                fill()  # workers go on while the caller uses the result
                yield result

    @abstractmethod
    def _open(self) -> None:
        """Starts or finds the workers."""

    @abstractmethod
    def _close(self) -> None:
        """Ends what was started."""

    @abstractmethod
    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> AbstractContextManager[Begin]:
        """Readies the workers for one ``map``; behind the block nothing of it is in flight."""


def ends_its_workers(number: int, piece: object, times: int, next_step: str) -> ExecutionError:
    """The error for a piece that loses worker after worker."""
    return ExecutionError(f"piece {number} ({brief(piece)})", f"lost its worker {times} times", next_step)
