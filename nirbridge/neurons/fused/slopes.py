"""Surrogate slopes of one row, compiled into the backward passes.

``slope[i] += c h(scaled[i]/unit - shift)`` for each level, where h is of one of the kinds below.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled

Array = NDArray[Any]
TRIANGLE, SIGMOID = 0, 1
"""h(r) = height max(0, 1 - |r|/width) and h(r) = α σ(α r)(1 - σ(α r))."""


@compiled
def add_triangle(slope: Array, scaled: Array, factor: Any, per_unit: Any, shift: Any, height: Any, width: Any) -> None:
    """slope += factor · height max(0, 1 - |r|/width), r = scaled · per_unit - shift."""
    one = scaled.dtype.type(1)
    zero = scaled.dtype.type(0)
    scale = factor * height
    narrow = one / width
    for i in range(slope.shape[0]):
        inside = one - np.abs(scaled[i] * per_unit - shift) * narrow
        slope[i] += scale * (inside if inside > zero else zero)


@compiled
def add_sigmoid(
    slope: Array,
    scaled: Array,
    factor: Any,
    per_unit: Any,
    shift: Any,
    alpha: Any,
    series: Array,
    bits: Array,
    powers: Array,
    rest: Array,
    e: Array,
) -> None:
    """slope += factor · α e/(1 + e)², e = exp(-α |r|), r = scaled · per_unit - shift.

    exp(-z) = 2^-n exp(n ln2 - z), n = round(z / ln2): a power of two put together bit by bit in ``bits``, of which
    ``powers`` is another view, times a polynomial. ``series``: log2 e, ln2 in two parts, the largest z, then the
    coefficients from the highest down. The libraries' exp would keep the loops from SIMD.
    """
    one = scaled.dtype.type(1)
    half = scaled.dtype.type(0.5)
    bias = scaled.dtype.type(127.0 if scaled.itemsize == 4 else 1023.0)
    # Shifted into place as a float, exactly: numba's integer arithmetic has 64 bits, which halves the speed.
    mantissa = scaled.dtype.type(2.0**23 if scaled.itemsize == 4 else 2.0**52)
    per_octave, ln2_high, ln2_low, most = series[0], series[1], series[2], series[3]
    for i in range(slope.shape[0]):
        z = alpha * np.abs(scaled[i] * per_unit - shift)
        z = z if z < most else most
        octaves = np.floor(z * per_octave + half)
        rest[i] = (octaves * ln2_high - z) + octaves * ln2_low
        bits[i] = bits.dtype.type((bias - octaves) * mantissa)
        e[i] = series[4]
    # The last seven coefficients are all that float32 needs after the first: unrolled, they stay in registers.
    tail = series.shape[0] - 7
    for k in range(5, tail):
        coefficient = series[k]
        for i in range(slope.shape[0]):
            e[i] = e[i] * rest[i] + coefficient
    c6, c5, c4, c3 = series[tail], series[tail + 1], series[tail + 2], series[tail + 3]
    c2, c1, c0 = series[tail + 4], series[tail + 5], series[tail + 6]
    weight = factor * alpha
    for i in range(slope.shape[0]):
        f = rest[i]
        small = ((((((e[i] * f + c6) * f + c5) * f + c4) * f + c3) * f + c2) * f + c1) * f + c0
        small *= powers[i]
        slope[i] += weight * small / ((one + small) * (one + small))
