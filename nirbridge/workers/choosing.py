"""Which crew does the work: what ``--jobs`` and ``--cluster`` ask for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from nirbridge.errors import InputError
from nirbridge.workers.interface import Begin, Crew, P, R, S
from nirbridge.workers.processes import Processes

LOCAL = "local"
"""The cluster that is embedded in this process."""
_SCHEMES = ("tcp://", "tls://", "ws://", "wss://", "ucx://")


def crew(jobs: int = 1, cluster: str | None = None) -> Crew:
    """Workers for :meth:`Crew.map`, to be used as a context manager.

        with crew(jobs=4) as workers:
            for row in workers.map(measure, recordings, shared=graph):
                ...

    Results and their order are the same whatever crew it is.

    Args:
        jobs: 1 for this process, else so many processes of one thread each.
        cluster: "local" for a Dask cluster of ``jobs`` processes on this machine, or the address of a Dask scheduler
            ("tcp://scheduler:8786"), whose workers do the work, however many ``jobs`` are.

    Raises:
        InputError: ``jobs`` is below 1, ``cluster`` is neither, or Dask's library
            ``distributed`` is not installed.
    """
    if jobs < 1:
        raise InputError("jobs", f"{jobs} processes do no work", "Give 1 or more")
    check_cluster(cluster)
    if cluster is None:
        return Alone() if jobs == 1 else Processes(jobs)
    try:
        from nirbridge.workers.dask_cluster import EmbeddedCluster, ExistingCluster
    except ModuleNotFoundError as error:
        found = f"needs the library '{error.name}', which is not installed"
        raise InputError(f"cluster '{cluster}'", found, "Run: pip install 'distributed>=2024.1'") from error
    if cluster == LOCAL:
        return EmbeddedCluster(jobs)
    return ExistingCluster(cluster, jobs)


def check_cluster(cluster: str | None) -> None:
    """Refuses what is neither "local" nor an address.

    Raises:
        InputError: so.
    """
    if cluster is None or cluster == LOCAL or cluster.startswith(_SCHEMES):
        return
    found = "is neither 'local' nor the address of a Dask scheduler"
    raise InputError(f"cluster '{cluster}'", found, "Give it as tcp://scheduler:8786")


def all_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
