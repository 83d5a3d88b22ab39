"""Work in parts, on torch's own threads where they can be had, else on threads beside them.

torch's threads spin for a while after each operation.  Threads beside them share a core with one that spins, and are
set aside in the middle of a part, for which all others then wait: such passes take up to 1.7 times as long.  With GNU
OpenMP, as torch's builds for Linux bring it, a team of the same threads can be called to work instead.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
Work = Callable[[int, Array], None]
_MEMBER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_KEPT: list[Array] = []
"""Buffers that no thread holds; as many as worked at once.  Fresh memory would be mapped and cleared for each pass."""


def in_parts(count: int, work: Work, threads: int, size: int) -> None:
    """Calls ``work(part, buffer)`` for each part, at once on several threads, of which each takes the next.

    Args:
        count: of parts.
        work: gets the number of a part and a buffer of its thread; an exception ends the thread's work.
        threads: 1 for the calling thread alone.
        size: of a buffer in bytes.
    """
    left = iter(range(count))  # taking the next is one step under the interpreter's lock

    def take() -> None:
        try:
            buffer = _KEPT.pop()
        except IndexError:
            buffer = np.empty(size, np.uint8)
        if len(buffer) < size:
            buffer = np.empty(size, np.uint8)
        for part in left:
            work(part, buffer[:size])
        _KEPT.append(buffer)

    if threads == 1:
        take()
    elif (start := _gnu_openmp(os.getpid())) is not None:
        _on_torchs_threads(start, take)
    else:
        _on_others(take, threads)


def _on_torchs_threads(start: Any, take: Callable[[], None]) -> None:
    """All of them, as torch does: a smaller team would end the others, and torch would start them again."""
    raised: list[BaseException] = []

    def member(_: Any) -> None:
        try:
            take()
        except BaseException as error:
            raised.append(error)

    start(_MEMBER(member), None, torch.get_num_threads(), 0)
    if raised:
        raise raised[0]


def _on_others(take: Callable[[], None], threads: int) -> None:
    others = [_pool(os.getpid()).submit(take) for _ in range(threads - 1)]
    take()
    for other in others:
        if not other.cancel():
            other.result()


@cache
def _gnu_openmp(process: int) -> Any:
    """What starts a team of torch's threads; None where torch has another library, or the process is a fork.

    A child has the records of its parent's threads without the threads: a team would never come together.
    """
    if process != _PROCESS:
        return None
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        with suppress(OSError, AttributeError):
            start = ctypes.CDLL(str(path)).GOMP_parallel
            start.argtypes, start.restype = [_MEMBER, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint], None
            return start
    return None


_PROCESS = os.getpid()


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """One pool a process: the threads of a parent do not live on in a forked child."""
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1)), thread_name_prefix="nirbridge-neurons")
