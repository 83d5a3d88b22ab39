"""The crew of one: this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from nirbridge.workers.interface import Begin, Crew, P, R, S


class Alone(Crew):
    """Does each piece when its result is asked for, with the threads that this process has."""

    size = 1
    remarks = ()

    def map(
        self,
        work: Callable[[S, P], R],
        pieces: Iterable[P],
        shared: S = None,  # type: ignore[assignment]
        ordered: bool = True,
    ) -> Iterator[R]:
        """See :meth:`Crew.map`; errors and lost memory are this process's own."""
        for piece in pieces:
            yield work(shared, piece)

    def _open(self) -> None:
        pass

    def _close(self) -> None:
        pass

    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> AbstractContextManager[Begin]:
        raise NotImplementedError("there is nobody to hand a piece to")
