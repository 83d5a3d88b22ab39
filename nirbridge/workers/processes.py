"""The crew on the cores of this machine: processes of one thread each.

A process has a thread here that waits for it, so that futures, queues and their ends are the standard library's. They
start when pieces come, and stay for the next ``map``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from nirbridge.workers.interface import LOSSES, Begin, Crew, ends_its_workers
from nirbridge.workers.messages import packed
from nirbridge.workers.worker_process import WorkerLost, WorkerProcess

_NEXT_STEP = "If memory is short, use fewer jobs or smaller pieces; with one job the error shows itself"


class Processes(Crew):
    """So many processes; see :class:`Crew`."""

    def __init__(self, jobs: int) -> None:
        self.size = jobs
        self.remarks = (f"{jobs} processes of one thread each",)
        self._idle: list[WorkerProcess] = []

    def _open(self) -> None:
        self._threads = ThreadPoolExecutor(self.size, thread_name_prefix="nirbridge-crew")

    def _close(self) -> None:
        self._threads.shutdown()
        while self._idle:
            self._idle.pop().end()

    @contextmanager
    def _working(self, work: Callable[[Any, Any], Any], shared: Any) -> Iterator[Begin]:
        shift = _Shift(packed((work, shared)), self._idle)
        begun: list[Future[bytes]] = []

        def begin(number: int, piece: Any) -> Future[bytes]:
            begun[:] = [one for one in begun if not one.done()]
            begun.append(self._threads.submit(shift.do, number, piece, packed(piece)))
            return begun[-1]

        try:
            yield begin
        finally:
            shift.end()
            wait(begun)


class _Shift:
    """The processes of one ``map``."""

    def __init__(self, work: bytes, idle: list[WorkerProcess]) -> None:
        self._work, self._idle = work, idle
        self._busy: set[WorkerProcess] = set()
        self._ended = False
        self._lock = threading.Lock()

    def do(self, number: int, piece: Any, content: bytes) -> bytes:
        """The answer for a piece, from whichever process is free; runs in a thread."""
        how = ""
        for _ in range(LOSSES):
            with self._lock:
                if self._ended:
                    raise CancelledError
                worker = self._idle.pop() if self._idle else WorkerProcess()
                self._busy.add(worker)
            try:
                reply = worker.do(self._work, content)
            except WorkerLost as error:
                how = str(error)
                continue
            finally:
                with self._lock:
                    self._busy.discard(worker)
            self._release(worker)
            return reply
        raise ends_its_workers(number, piece, LOSSES, f"The last one: {how}. {_NEXT_STEP}")

    def _release(self, worker: WorkerProcess) -> None:
        with self._lock:
            if not self._ended:
                self._idle.append(worker)
                return
        worker.end()  # it may have been killed just when it had answered

    def end(self) -> None:
        """Begins no further piece and kills the processes that are busy."""
        with self._lock:
            self._ended = True
            for worker in self._busy:
                worker.kill()
