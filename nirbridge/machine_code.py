"""Compilation with numba, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """``function`` as machine code, compiled at its first call for each dtype and found again by later processes.

    Where the cache cannot be written, as on a full disk, those compile it again.

    Args:
        function: in a file of its own, since later processes look at that file's date alone.
        options: of ``numba.njit``.
    """
    from numba import njit

    try:
        found = njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return njit(**options)(function)
    save = found._cache.save_overload

    def save_if_possible(*what: Any) -> None:
        with suppress(OSError):
            save(*what)

    found._cache.save_overload = save_if_possible
    return found
