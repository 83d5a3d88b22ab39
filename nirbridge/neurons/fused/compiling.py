"""Compilation with numba, kept on disk where there is a place for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nirbridge.machine_code import compiled as cached

# Python's error model tests every divisor for 0, which keeps divisions from SIMD.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def compiled(function: Callable[..., Any]) -> Any:
    """``function`` as machine code, compiled at its first call for each dtype and found again by later processes.

    Without ``fastmath``: the compiler may neither reorder nor fuse operations. Those processes look at the function's
    own file alone: who changes another that it calls deletes ``__pycache__``.
    """
    return cached(function, **_OPTIONS)


def compiled_sums(function: Callable[..., Any]) -> Any:
    """Likewise, but sums may be taken in another order, without which a sum over neurons gets no SIMD."""
    return cached(function, **_OPTIONS, fastmath={"reassoc", "contract"})


def compiled_slopes(function: Callable[..., Any]) -> Any:
    """Likewise, but a product and a sum may be fused: for slopes, which decide nothing that is compared."""
    return cached(function, **_OPTIONS, fastmath={"contract"})
