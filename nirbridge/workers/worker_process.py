"""A process that does pieces of work, one at a time, which come and go by a pipe of its own.

A pool of the standard library shares its queues among its workers: up to Python 3.12 one that is killed while it
writes an answer blocks the pool for good, and all of them end with it. Here only that process is lost, and it is known
which piece it had.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection

from nirbridge.errors import ExecutionError
from nirbridge.workers.lifetime import bind_to_parent, without_interrupts
from nirbridge.workers.messages import Work, answer
from nirbridge.workers.one_thread import one_thread_each

_SPAWN = get_context("spawn")  # a forked child would inherit the threads' locks of torch or of a runtime
_STARTING = threading.Lock()
_LOOK_SECONDS = 1.0
_END_SECONDS = 5.0


class WorkerLost(Exception):  # noqa: N818
    """The process has ended."""


class WorkerProcess:
    """A process of one thread, as its parent sees it. It ends with the parent, however that ends."""

    def __init__(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), name="nirbridge worker")
        self._ready = False
        self._holds: bytes | None = None
        with _STARTING, one_thread_each(), without_interrupts():
            self._process.start()
        theirs.close()

    def do(self, work: bytes, piece: bytes) -> bytes:
        """The answer for a piece. ``work``, a packed pair of function and what is shared, is sent only if it is new.

        Raises:
            WorkerLost: the process ended before it had answered.
            ExecutionError: it never began, because it could not be started.
        """
        try:
            if not self._ready:
                self._ready = self._received() == b""
            self._pipe.send_bytes(b"" if self._holds is work else work)
            self._holds = work
            self._pipe.send_bytes(piece)
            return self._received()
        except (EOFError, OSError) as error:
            self.end()
            if not self._ready and self._process.exitcode == 1:
                found = "ended while it started"
                next_step = "Put what starts the work under if __name__ == '__main__':, or use one job"
                raise ExecutionError("worker process", found, next_step) from error
            raise WorkerLost(self._ending()) from error

    def kill(self) -> None:
        """Ends it at once, from any thread; who waits for its answer gets ``WorkerLost``."""
        self._process.kill()

    def end(self) -> None:
        """Ends it: one that waits for work goes by itself."""
        self._pipe.close()
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()

    def _received(self) -> bytes:
        while not self._pipe.poll(_LOOK_SECONDS):
            # Processes that it has forked may hold its end of the pipe open.
            if not self._process.is_alive() and not self._pipe.poll():
                raise EOFError
        return self._pipe.recv_bytes()

    def _ending(self) -> str:
        code = self._process.exitcode or 0
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _serve(pipe: Connection) -> None:
    """The process itself."""
    bind_to_parent()
    pipe.send_bytes(b"")
    work = Work(b"")
    with suppress(EOFError, OSError):  # the parent has no more work
        while True:
            content, piece = pipe.recv_bytes(), pipe.recv_bytes()
            if content:  # empty where the work is as before
                work = Work(content)
            pipe.send_bytes(answer(partial(work.done, piece)))
