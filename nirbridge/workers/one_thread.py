"""Processes that share the cores: on one thread each where there are as many of them as cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What libraries ask how many threads to use; they look when they are loaded."""


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started in the block inherit an environment that says so; behind it the environment is as it was."""
    with _environment(dict.fromkeys(THREADS, "1")):
        yield


@contextmanager
def threads_unless_said(threads: int) -> Iterator[None]:
    """Processes started in the block use so many threads, where the environment does not say how many."""
    with _environment({name: str(threads) for name in THREADS if name not in os.environ}):
        yield


@contextmanager
def _environment(changed: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
