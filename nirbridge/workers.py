"""Worker processes for long work on many pieces."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def worker_pool(count: int) -> ProcessPoolExecutor:
    """So many processes, which end with this one, however it ends.

    They start from nothing: a forked child would inherit the threads' locks of torch or of a runtime. Left alone they
    would outlive a parent that is killed, since each holds both ends of the pipe on which it waits for work.
    """
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_watch_parent)


def _watch_parent() -> None:
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
