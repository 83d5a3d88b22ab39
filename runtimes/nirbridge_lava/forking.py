"""The one place that loads Lava, and the one place where its processes are made.

Lava's processes are forks of this one.  Each is told here what Lava does not tell it: to end when its parent is gone,
to leave Ctrl-C to its parent, and to compute with one thread.
"""

from __future__ import annotations

import gc
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO, cast

from nirbridge.errors import UnsupportedError

_ORPHAN_CHECK_SECONDS = 1.0
_LOCK = threading.RLock()
_LOGGERS = (None, "lava.magma.compiler.compiler")


@dataclass
class _Forks:
    """Which thread's forks are Lava's processes, and of which parent."""

    thread: int = 0
    parent: int = 0


_FORKS = _Forks()


@contextmanager
def making_processes() -> Iterator[None]:
    """Inside of it Lava may be imported, compiled and started; children forked by this thread obey this module.

    The start method of multiprocessing, the loggers' handlers and the number of BLAS threads are as before
    afterwards.  A Ctrl-C takes effect at the end.

    Raises:
        UnsupportedError: this process is daemonic, so Python lets it start none.
    """
    if multiprocessing.current_process().daemon:
        found = "this process is daemonic, as those of multiprocessing.Pool are, and may start none of Lava's"
        raise UnsupportedError("runtime 'lava'", found, "Use concurrent.futures.ProcessPoolExecutor, or daemon=False")
    with _LOCK, ExitStack() as undo:
        undo.enter_context(later_signals())
        undo.enter_context(_start_method_fork())
        undo.enter_context(_quiet())
        undo.enter_context(_one_blas_thread())
        _FORKS.thread, _FORKS.parent = threading.get_ident(), os.getpid()
        undo.callback(setattr, _FORKS, "thread", 0)
        yield


@contextmanager
def later_signals() -> Iterator[None]:
    """Inside of it Ctrl-C and SIGTERM wait until its end; the second signal of a kind takes effect at once.

    An exception between a fork and its entry in a list, or between the end of a process and the note of it, would leave
    a process that nobody knows of.
    """
    handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
    came: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number in came:
            handlers[number](number, frame)
        came.append(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                handlers[number] = handler
                signal.signal(number, note)
    try:
        yield
    finally:
        for caught, original in handlers.items():
            signal.signal(caught, original)
    for caught in came:
        handlers[caught](caught, None)


@contextmanager
def _start_method_fork() -> Iterator[None]:
    """Lava sets the method when it is imported and fails where one was set; it works with fork alone."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    try:
        import lava.magma.runtime.message_infrastructure.multiprocessing  # noqa: F401  its import sets the method

        multiprocessing.set_start_method("fork", force=True)
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Every Process and every compile adds a handler to a logger for good, and failures are printed."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    handlers = [list(logger.handlers) for logger in loggers]
    try:
        with warnings.catch_warnings(), redirect_stdout(cast(TextIO, _Muted(sys.stdout))):
            for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        for logger, before in zip(loggers, handlers, strict=True):
            logger.handlers[:] = before


class _Muted:
    """The standard output without what this thread writes; other threads go on printing."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        """Passes on what another thread writes."""
        if self._stream is not None and threading.get_ident() != self._thread:
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As of the stream."""
        if self._stream is not None:
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """A dozen processes with a pool of threads each would fight for the cores; forks inherit the number."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield


def _in_child() -> None:
    global _LOCK
    if _FORKS.thread != threading.get_ident():
        # Another thread of the parent may hold it, and none of this process.
        _LOCK, _FORKS.thread = threading.RLock(), 0
        return
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    watch = threading.Thread(target=_end_with, args=(_FORKS.parent,), name="parent watch", daemon=True)
    watch.start()


def _end_with(parent: int) -> None:
    # A death signal from the kernel would also come when only the thread that forked ends.
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


os.register_at_fork(after_in_child=_in_child)
