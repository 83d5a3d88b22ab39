"""Powers of two, put together from the bits of floats: the libraries' functions would keep a loop from SIMD.

Each is a function for float32 and one for float64, of which numba's ``overload`` takes the one for its argument.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload


def power_below(x: Any) -> Any:
    """The highest power of two that is not above x > 0; infinity for infinity."""
    raise NotImplementedError("for compiled code alone")


def two_to(n: Any) -> Any:
    """2^n for a whole number n as a float, -126 (float64: -1022) to 127 (1023)."""
    raise NotImplementedError("for compiled code alone")


@overload(power_below)  # type: ignore[untyped-decorator]
def _power_below(x: Any) -> Callable[[Any], Any]:
    def single(x: Any) -> Any:
        return np.int32(np.float32(x).view(np.int32) & 0x7F800000).view(np.float32)

    def double(x: Any) -> Any:
        return np.int64(np.float64(x).view(np.int64) & 0x7FF0000000000000).view(np.float64)

    return single if x.bitwidth == 32 else double


# Exponents are shifted into place as floats, exactly: numba's integer arithmetic has 64 bits, which halves the speed.
@overload(two_to)  # type: ignore[untyped-decorator]
def _two_to(n: Any) -> Callable[[Any], Any]:
    def single(n: Any) -> Any:
        return np.int32((n + np.float32(127)) * np.float32(2**23)).view(np.float32)

    def double(n: Any) -> Any:
        return np.int64((n + 1023.0) * 2.0**52).view(np.float64)

    return single if n.bitwidth == 32 else double
