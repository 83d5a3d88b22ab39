"""The crew on a Dask cluster: one of our own on this machine, or one that is there."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import dask.config
from distributed import Client, Future, LocalCluster
from distributed.utils import silence_logging_cmgr

from nirbridge.errors import ExecutionError
from nirbridge.workers.dask_crew import DaskCrew
from nirbridge.workers.dask_versions import same_versions
from nirbridge.workers.interface import LOSSES, Begin
from nirbridge.workers.lifetime import without_interrupts
from nirbridge.workers.one_thread import one_thread_each

SCHEDULER_SECONDS = 5
WORKERS_SECONDS = 60
REFUSED_SECONDS = 3
_KEPT_TO_THE_END = {
    # A process of ours that refuses a connection has ended, perhaps just when its answer is fetched: Dask would try to
    # reach it for 30 s.
    "distributed.comm.timeouts.connect": REFUSED_SECONDS,
    # Dask would give a process up for good that is away 15 s after a loss, be it that it is lost again at that moment
    # or starts slowly; with all of them given up, work waits for ever.
    "distributed.deploy.lost-worker-timeout": "365 days",
}
_QUIET = logging.CRITICAL + 1
"""Dask's log: what it means to a user is an error of ours."""


class EmbeddedCluster(DaskCrew):
    """A scheduler in this process and so many processes of one thread each, which end with it."""

    tries = LOSSES

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._busy: list[str] = []
        self.remarks = (f"a Dask cluster of {jobs} process{'es' if jobs > 1 else ''} of one thread each",)

    def _open(self) -> None:
        with ExitStack() as stack:
            stack.enter_context(silence_logging_cmgr(_QUIET))  # LocalCluster's own ends a moment before it is closed
            folder = stack.enter_context(TemporaryDirectory(prefix="nirbridge-dask-"))
            stack.enter_context(one_thread_each())  # to the end, for those that take the place of lost ones
            stack.enter_context(dask.config.set(_KEPT_TO_THE_END))
            settings = {"temporary-directory": folder, "distributed.nanny.pre-spawn-environ": {}}
            with dask.config.set(settings), without_interrupts():  # the thread that starts processes begins here
                self._cluster = LocalCluster(
                    n_workers=self._jobs,
                    threads_per_worker=1,
                    processes=True,
                    memory_limit=None,
                    silence_logs=_QUIET,
                    # Its page of metrics would take port 8787, and say so where that is taken.
                    scheduler_kwargs={"allowed_failures": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0"},
                )
            stack.enter_context(self._cluster)
            self._connect(stack.enter_context(Client(self._cluster, set_as_default=False, timeout=WORKERS_SECONDS)))
            self._opened = stack.pop_all()

    @contextmanager
    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> Iterator[Begin]:
        self._kill_busy()
        with super()._working(work, shared) as begin:
            yield begin

    def _end(self, unfinished: list[Future]) -> None:
        super()._end(unfinished)
        if unfinished:
            # All of them: which are busy is known to the scheduler only a moment later, and one that is would keep
            # what comes next waiting.
            self._busy = list(self._cluster.scheduler.workers)

    def _kill_busy(self) -> None:
        """Ends processes that go on with what nobody waits for any more; Dask starts others."""
        if self._busy:
            self._client.run(os._exit, 1, workers=self._busy, on_error="ignore")
            self._busy = []

    def _close(self) -> None:
        self._cluster.sync(self._kill_all)
        super()._close()

    async def _kill_all(self) -> None:
        """One that is starting would tell at length that it may not; runs in Dask's thread, which starts them."""
        for nanny in self._cluster.workers.values():
            nanny.close_gracefully()  # starts no other process for one that ends
            if nanny.pid:
                os.kill(nanny.pid, signal.SIGKILL)


class ExistingCluster(DaskCrew):
    """The workers of a cluster that others started and that stays."""

    tries = 2

    def __init__(self, address: str, jobs: int) -> None:
        self._address = address
        self._unused = (f"{jobs} jobs are not used, a cluster has its own workers",) if jobs != 1 else ()

    def _open(self) -> None:
        where = f"cluster '{self._address}'"
        with ExitStack() as stack:
            stack.enter_context(silence_logging_cmgr(_QUIET))
            client = stack.enter_context(_client(where, self._address))
            try:
                client.wait_for_workers(1, timeout=WORKERS_SECONDS)
            except asyncio.TimeoutError as error:
                found = f"it has no workers, {WORKERS_SECONDS} s after they were asked for"
                raise ExecutionError(where, found, "Start workers: dask worker tcp://..., or by your queue") from error
            differing = same_versions(where, client)
            self._connect(client)
            count = f"{self.size} worker thread{'s' if self.size > 1 else ''} now"
            self.remarks = (f"{where}: {count}", *self._unused, *differing)
            self._opened = stack.pop_all()


def _client(where: str, address: str) -> Client:
    try:
        return Client(address, set_as_default=False, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError, MemoryError) as error:  # another program's words may tell of a message of 3 EiB
        found = f"no Dask scheduler answers there within {SCHEDULER_SECONDS} s"
        raise ExecutionError(where, found, "Check the address, and that the scheduler runs") from error
