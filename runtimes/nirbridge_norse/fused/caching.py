"""Compilation with numba, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nirbridge.machine_code import compiled as cached


def compiled(function: Callable[..., None]) -> Any:
    """``function`` as machine code, compiled at its first call for each dtype and found again by later processes.

    Without ``fastmath``: the compiler may neither reorder nor fuse operations.  x / 0 is infinite or NaN.
    """
    return cached(function, nogil=True, error_model="numpy")


def summing(function: Callable[..., None]) -> Any:
    """The same for sums of products, of which each product may go into the sum without being rounded before."""
    return cached(function, nogil=True, fastmath={"contract"})
