"""How pieces of work go through a Dask cluster, whoever started it.

Dask does again what a lost worker had, and knows workers that come later. What is shared is a plugin of the workers,
which Dask sends once to each, also to later ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any
from uuid import uuid4

import dask.config
from distributed import CancelledError, Client, Future
from distributed.scheduler import KilledWorker

from nirbridge.errors import ExecutionError
from nirbridge.version import __version__
from nirbridge.workers.dask_side import Shared, do_piece
from nirbridge.workers.interface import Begin, Crew, ends_its_workers
from nirbridge.workers.messages import packed

_COUNT_SECONDS = 2.0
_CALLS, _PAUSE_SECONDS = 10, 0.2
_NEXT_STEP = "Look at the workers' logs and memory; with one job the error shows itself"
_LARGE = {"distributed.admin.large-graph-warning-threshold": "1TiB"}  # it advises users of Dask's own collections


class DaskCrew(Crew):
    """What embedded and existing clusters share.

    Attributes:
        tries: how often Dask may give a piece up. It does so when the piece was on a lost worker ``allowed-failures``
            + 1 times, also where it only waited there: so the last try is made while nothing else is in flight.
    """

    tries: int
    _opened: ExitStack
    _client: Client
    _counted: float
    _size: int

    @property
    def size(self) -> int:  # type: ignore[override]
        """Threads of all workers, which come and go."""
        now = time.monotonic()
        if now - self._counted > _COUNT_SECONDS:
            with _scheduler_is_there():
                self._counted, self._size = now, max(1, sum(self._client.nthreads().values()))
        return self._size

    def _connect(self, client: Client) -> None:
        self._client, self._counted, self._size = client, -_COUNT_SECONDS, 1

    def _close(self) -> None:
        self._opened.close()

    @contextmanager
    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> Iterator[Begin]:
        name = f"nirbridge-{uuid4().hex}"
        begun: dict[_Piece, None] = {}

        def begin(number: int, piece: Any) -> _Piece:
            one = _Piece(self, name, number, piece, begun)
            begun[one] = None
            return one

        with dask.config.set(_LARGE):
            with _scheduler_is_there():
                self._register(Shared(name, packed((work, shared))))
            try:
                yield begin
            finally:
                with suppress(OSError):  # what is gone holds nothing, a scheduler or a worker
                    self._end([one.future for one in begun])
                    self._client.unregister_worker_plugin(name)

    def _register(self, plugin: Shared) -> None:
        """Again where a worker was lost meanwhile: others may not have been reached, and those that were do not mind.

        Raises:
            OSError: the scheduler itself is gone.
        """
        for left in reversed(range(_CALLS)):
            try:
                self._client.register_plugin(plugin, name=plugin.name)
                return
            except OSError:
                if left == 0 or self._client.status != "running":
                    raise
                time.sleep(_PAUSE_SECONDS)

    def _end(self, unfinished: list[Future]) -> None:
        """Begins none of these any more; what runs on a cluster of others runs to its end."""
        self._client.cancel(unfinished, force=True)

    def submit(self, name: str, number: int, content: bytes) -> Future:
        """Hands a piece to Dask; equal pieces are done as often as they are given."""
        key = f"{name}-{number}-{uuid4().hex}"
        with _scheduler_is_there():
            return self._client.submit(do_piece, name, __version__, content, key=key, pure=False)


class _Piece:
    """A piece in flight; see :class:`nirbridge.workers.interface.Begun`."""

    def __init__(self, crew: DaskCrew, name: str, number: int, piece: Any, begun: dict[_Piece, None]) -> None:
        self._crew, self._name, self._number, self._piece, self._begun = crew, name, number, piece, begun
        self._content = packed(piece)
        self.future = crew.submit(name, number, self._content)

    def result(self) -> bytes:
        """Waits for the answer, also of further tries where workers are lost."""
        lost = 0
        for left in reversed(range(self._crew.tries)):
            try:
                with _scheduler_is_there():
                    reply: bytes = self.future.result()
                break
            except KilledWorker as error:
                lost += error.allowed_failures + 1
                if left == 0:
                    raise ends_its_workers(self._number, self._piece, lost, _NEXT_STEP) from error
                if left == 1:
                    self._let_others_end()
                self.future = self._crew.submit(self._name, self._number, self._content)
        del self._begun[self]
        return reply

    def _let_others_end(self) -> None:
        for other in self._begun:
            if other is not self:
                with _scheduler_is_there():
                    other.future.exception()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """``call`` gets this piece when it is done or Dask gave it up."""
        self.future.add_done_callback(lambda _: call(self))


@contextmanager
def _scheduler_is_there() -> Iterator[None]:
    """Around what asks the scheduler, never around work.

    Raises:
        ExecutionError: it is gone; Dask cancels all that it had.
    """
    try:
        yield
    except (OSError, CancelledError) as error:
        found = "the connection to its scheduler was lost"
        raise ExecutionError("cluster", found, "Look at the scheduler's log; start again when it runs") from error
