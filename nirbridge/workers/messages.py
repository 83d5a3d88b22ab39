"""What goes between this process and its workers, as bytes: work, pieces and answers.

Everything is pickled plainly. The pickler of ``multiprocessing`` would put tensors of torch into shared memory, which
goes with the process that made it. The bytes come from our own processes, or from a cluster that runs our code anyway.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable
from typing import Any

from nirbridge.errors import ExecutionError


def packed(content: object) -> bytes:
    """``content`` as bytes; what cannot be pickled raises here, in the process that asks for the work."""
    return pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(content: bytes) -> Any:
    """Undoes :func:`packed`."""
    return pickle.loads(content)


class WorkerTrace(Exception):  # noqa: N818
    """Where in a worker an exception was raised, as text: the cause of the exception here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def answer(get: Callable[[], Any]) -> bytes:
    """What ``get`` gives or raises, for :func:`opened` in another process."""
    try:
        return packed((get(), None, ""))
    except BaseException as error:
        return _failure(error, traceback.format_exc())


def opened(content: bytes) -> Any:
    """What was given; what was raised is raised again, with the worker's own trace as its cause."""
    value, error, trace = unpacked(content)
    if error is not None:
        raise error from WorkerTrace(trace)
    return value


def _failure(error: BaseException, trace: str) -> bytes:
    try:
        content = packed((None, error, trace))
        unpacked(content)  # many exceptions take other arguments than they keep
    except Exception:
        told = ExecutionError("work", f"failed with {type(error).__name__} ({error})")
        content = packed((None, told, trace))
    return content
