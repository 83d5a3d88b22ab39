"""The crew on a Dask cluster: one of our own on this machine, or one that is there. The only importer of Dask.

Dask does again what a lost worker had, and knows workers that come later. What is shared is a plugin of the workers,
which Dask sends once to each, also to later ones.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import dask.config
from distributed import CancelledError, Client, Future, LocalCluster
from distributed.scheduler import KilledWorker

from nirbridge import __version__
from nirbridge.errors import ExecutionError
from nirbridge.workers.crew import LOSSES, Begin, Crew, ends_its_workers
from nirbridge.workers.dask_side import Shared, do_piece
from nirbridge.workers.dask_versions import same_versions
from nirbridge.workers.messages import opened, packed
from nirbridge.workers.worker_process import THREADS

SCHEDULER_SECONDS = 5
WORKERS_SECONDS = 60
_COUNT_SECONDS = 2.0
_NEXT_STEP = "Look at the workers' logs and memory; with one job the error shows itself"


class _DaskCrew(Crew):
    """What both kinds share.

    Attributes:
        tries: how often Dask may give a piece up. It does so when the piece was on a lost worker ``allowed-failures``
            + 1 times, also where it only waited there: the last try is made while nothing else is begun.
    """

    tries: int
    _client: Client
    _counted: float
    _size: int

    @property
    def size(self) -> int:  # type: ignore[override]
        """Threads of all workers, which come and go."""
        now = time.monotonic()
        if now - self._counted > _COUNT_SECONDS:
            self._counted, self._size = now, max(1, sum(self._client.nthreads().values()))
        return self._size

    def _connected(self, client: Client) -> None:
        self._client, self._counted, self._size = client, -_COUNT_SECONDS, 1

    @contextmanager
    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> Iterator[Begin]:
        name = f"nirbridge-{uuid4().hex}"
        self._client.register_plugin(Shared(name, packed((work, shared))), name=name)
        begun: dict[_Piece, None] = {}

        def begin(number: int, piece: Any) -> _Piece:
            one = _Piece(self, name, number, piece, begun)
            begun[one] = None
            return one

        try:
            yield begin
        finally:
            self._client.cancel([one.future for one in begun], force=True)
            self._client.unregister_worker_plugin(name)

    def submit(self, name: str, number: int, content: bytes) -> Future:
        """Hands a piece to Dask; equal pieces are done as often as they are given."""
        key = f"{name}-{number}-{uuid4().hex}"
        return self._client.submit(do_piece, name, __version__, content, key=key, pure=False)


class _Piece:
    """A piece in flight."""

    def __init__(self, crew: _DaskCrew, name: str, number: int, piece: Any, begun: dict[_Piece, None]) -> None:
        self._crew, self._name, self._number, self._piece, self._begun = crew, name, number, piece, begun
        self._content = packed(piece)
        self.future = crew.submit(name, number, self._content)

    def result(self) -> Any:
        """See :class:`nirbridge.workers.crew.Begun`."""
        lost = 0
        for tried in range(1, self._crew.tries + 1):
            try:
                reply = self.future.result()
            except KilledWorker as error:
                lost += error.allowed_failures + 1
                if tried == self._crew.tries:
                    raise ends_its_workers(self._number, self._piece, lost, _NEXT_STEP) from error
                if tried == self._crew.tries - 1:
                    self._let_others_end()
                self.future = self._crew.submit(self._name, self._number, self._content)
            except CancelledError as error:
                found = "the connection to its scheduler was lost"
                raise ExecutionError("cluster", found, "Start it again; what is done is kept") from error
            else:
                break
        del self._begun[self]
        return opened(reply)

    def _let_others_end(self) -> None:
        for other in self._begun:
            if other is not self:
                with suppress(CancelledError):
                    other.future.exception()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """See :class:`nirbridge.workers.crew.Begun`."""
        self.future.add_done_callback(lambda _: call(self))


class EmbeddedCluster(_DaskCrew):
    """A scheduler in this process and so many processes of one thread each, which end with it."""

    tries = LOSSES

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self.remarks = (f"a Dask cluster of {jobs} process{'es' if jobs > 1 else ''} of one thread each",)

    def _open(self) -> None:
        with ExitStack() as stack:
            folder = stack.enter_context(TemporaryDirectory(prefix="nirbridge-dask-"))
            with dask.config.set({"temporary-directory": folder}):  # the scheduler's, too
                cluster = LocalCluster(
                    n_workers=self._jobs,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    memory_limit=None,
                    silence_logs=logging.CRITICAL + 1,  # lost workers are our business
                    scheduler_kwargs={"allowed_failures": 0},
                    env=dict.fromkeys(THREADS, "1"),
                )
            stack.enter_context(cluster)
            self._connected(stack.enter_context(Client(cluster, set_as_default=False)))
            self._ending = stack.pop_all()

    def _close(self) -> None:
        self._ending.close()


class ExistingCluster(_DaskCrew):
    """The workers of a cluster that others started and that stays."""

    tries = 2

    def __init__(self, address: str) -> None:
        self._address = address
        self.remarks = ()

    def _open(self) -> None:
        where = f"cluster '{self._address}'"
        try:
            client = Client(self._address, set_as_default=False, timeout=SCHEDULER_SECONDS)
        except (OSError, ValueError) as error:
            found = f"no Dask scheduler answers there within {SCHEDULER_SECONDS} s"
            raise ExecutionError(where, found, "Check the address, and that the scheduler runs") from error
        with ExitStack() as stack:
            stack.enter_context(client)
            try:
                client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            except TimeoutError as error:
                found = f"it has no workers, {WORKERS_SECONDS} s after they were asked for"
                raise ExecutionError(where, found, "Start workers: dask worker tcp://..., or by your queue") from error
            differing = same_versions(where, client)
            self._connected(client)
            self.remarks = (f"{where}: {self.size} worker threads", *differing)
            self._ending = stack.pop_all()

    def _close(self) -> None:
        self._ending.close()
