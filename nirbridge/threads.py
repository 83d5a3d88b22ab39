"""Work in parts on several threads, as many as torch uses.

The compiled loops hold no lock of the interpreter, so that ordinary threads will do: one pool a process. numba's own
parallel loops will not: which threads they get depends on what is installed; two callers at once end the process where
that is its "workqueue", and so does a fork where it is OpenMP. torch's threads are not to be had from Python; they
spin for a while after each operation and then share their cores with these, so that work comes in more parts than
threads, of which each takes the next.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import cache


def in_parts(count: int, work: Callable[[int], None], threads: int) -> None:
    """Calls ``work(part)`` for each part, at once on several threads.

    Args:
        count: of parts.
        work: gets the number of a part; an exception ends the thread's work and is raised.
        threads: 1 for the calling thread alone.
    """
    left = iter(range(count))  # taking the next is one step under the interpreter's lock

    def take() -> None:
        for part in left:
            work(part)

    others: list[Future[None]] = []
    with suppress(RuntimeError):  # no thread starts once the interpreter ends: the calling one does all
        others += (_pool(os.getpid()).submit(take) for _ in range(threads - 1))
    try:
        take()
    finally:
        # Also after an interrupt nobody works on when the caller goes on; what had no turn yet has nothing left to do.
        list(left)
        running = [other for other in others if not other.cancel()]
        wait(running)
    for other in running:
        other.result()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One a process: the threads of a parent do not live on in a forked child."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1)), thread_name_prefix="nirbridge-neurons")
