"""Compilation with numba, kept on disk where there is a place for it; and whether there is one with Triton."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any
from zlib import crc32

from nirbridge.logs import logger

LOGGER = logger("machine_code")
_FOUND = logging.DEBUG, "loaded %s of %s as machine code"
_MISSING = logging.INFO, "compiling %s of %s, which takes seconds and is kept for later processes"


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """``function`` as machine code, compiled at its first call for each dtype and found again by other processes.

    Those that need it at the same time wait for the one that compiles it. Where the cache cannot be written, as on a
    full disk, each compiles it.

    Args:
        function: in a file of its own, since later processes look at that file's date alone.
        options: of ``numba.njit``.
    """
    from numba import njit
    from numba.core.compiler_lock import global_compiler_lock

    try:
        found = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return njit(**options)(function)
    save, load, compile_ = found._cache.save_overload, found._cache.load_overload, found.compile
    lock = Path(found._cache.cache_path) / f"{function.__module__}.{function.__name__}.lock"

    def compile_once(signature: Any) -> Any:
        # Threads take turns before processes do: one that waited for a process could hold up the other way round.
        with global_compiler_lock, _turn(lock.with_suffix(".turn"), signature):
            return compile_(signature)

    def save_if_possible(*what: Any) -> None:
        with suppress(OSError), _alone(lock):
            save(*what)

    def load_whole(*what: Any) -> Any:
        try:
            with _alone(lock):
                code = load(*what)
        except OSError:  # the folder may only be read, or is not there yet: nobody writes
            code = load(*what)
        LOGGER.log(*_FOUND if code else _MISSING, function.__name__, function.__module__)
        return code

    found._cache.save_overload, found._cache.load_overload, found.compile = save_if_possible, load_whole, compile_once
    return found


def loop(function: Callable[..., Any], **options: Any) -> Any:
    """A loop over arrays, without the interpreter's lock, whose operations are neither reordered nor fused.

    x / 0 is infinite or NaN: Python's error model tests every divisor for 0, which keeps divisions from SIMD.  Later
    processes look at the function's own file alone: who changes another that it calls deletes ``__pycache__``.
    """
    return compiled(function, nogil=True, error_model="numpy", **options)


def fusing_loop(function: Callable[..., Any]) -> Any:
    """Likewise, but a product may go into a sum without being rounded before."""
    return loop(function, fastmath={"contract"})


def summing_loop(function: Callable[..., Any]) -> Any:
    """Likewise, but sums may be taken in another order too, without which a sum over neurons gets no SIMD."""
    return loop(function, fastmath={"reassoc", "contract"})


@cache
def numba_is_there() -> bool:
    """Whether loops can be compiled for the CPU."""
    return find_spec("numba") is not None


@cache
def triton_is_there() -> bool:
    """Whether kernels for CUDA can be compiled: by Triton, and a C compiler for what launches them."""
    compilers = (os.environ.get("CC"), "gcc", "clang")
    return find_spec("triton") is not None and any(which(name) for name in compilers if name)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Inside of it no other process reads or writes this function's cache.

    numba names the code in an index before it writes it: a second process would find that of an older source, or of
    another dtype, and run it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _turn(path: Path, signature: Any) -> Iterator[None]:
    """Inside of it no other process compiles this function for the same types, where that can be had.

    Unlike the lock above, this one is held for seconds: it is the process's own, so that a fork does not inherit it,
    and the system refuses it where processes would wait for each other.
    """
    with ExitStack() as stack:
        with suppress(ImportError, OSError):
            import fcntl

            path.parent.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context(path.open("a"))
            fcntl.lockf(file, fcntl.LOCK_EX, 1, crc32(str(signature).encode()))
        yield
