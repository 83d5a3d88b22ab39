"""Compilation with numba, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., None]) -> Any:
    """``function`` as machine code, compiled at its first call for each dtype and found again by later processes.

    Without ``fastmath``: the compiler may neither reorder nor fuse operations.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        # Neither the package's folder nor the user's cache folder can be written.
        return njit(nogil=True)(function)
