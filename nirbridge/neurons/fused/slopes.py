"""Surrogate slopes of one row: slope[i] = Σ_k c_k h(u[i] m_k - s_k) over the rows (c, m, s) of ``rises``.

h is a triangle, max(0, 1 - |r|), or a sigmoid's slope, σ(r)(1 - σ(r)).
The sum is the slope of a level over the membrane, see
:class:`nirbridge.neurons.gradients.OneHotSlope` and ``UniformSlope``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled, compiled_slopes
from nirbridge.neurons.fused.surrogates import SIGMOID, TRIANGLE

Array = NDArray[Any]


@intrinsic  # type: ignore[untyped-decorator]
def _as_float(context: Any, bits: Any) -> Any:
    """The float whose bits an integer of the same size has."""
    kinds = {types.int32: (types.float32, ir.FloatType), types.int64: (types.float64, ir.DoubleType)}
    if bits not in kinds:
        return None
    result, llvm = kinds[bits]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], llvm())

    return result(bits), generate


@intrinsic  # type: ignore[untyped-decorator]
def _whole(context: Any, number: Any) -> Any:
    """A float without fraction as an integer of the same size."""
    kinds = {types.float32: (types.int32, 32), types.float64: (types.int64, 64)}
    if number not in kinds:
        return None
    result, size = kinds[number]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fptosi(arguments[0], ir.IntType(size))

    return result(number), generate


@compiled_slopes
def triangles(slope: Array, u: Array, rises: Array) -> None:
    """slope = Σ_k c_k max(0, 1 - |u m_k - s_k|), over one row of ``rises`` or a multiple of four."""
    one, zero = u.dtype.type(1), u.dtype.type(0)
    if rises.shape[0] == 1:
        c0, m0, s0 = rises[0, 0], rises[0, 1], rises[0, 2]
        for i in range(u.shape[0]):
            h0 = one - np.abs(u[i] * m0 - s0)
            slope[i] = c0 * (h0 if h0 > zero else zero)
        return
    for i in range(u.shape[0]):
        slope[i] = zero
    for k in range(0, rises.shape[0] - 3, 4):
        c0, m0, s0 = rises[k, 0], rises[k, 1], rises[k, 2]
        c1, m1, s1 = rises[k + 1, 0], rises[k + 1, 1], rises[k + 1, 2]
        c2, m2, s2 = rises[k + 2, 0], rises[k + 2, 1], rises[k + 2, 2]
        c3, m3, s3 = rises[k + 3, 0], rises[k + 3, 1], rises[k + 3, 2]
        for i in range(u.shape[0]):
            h0 = one - np.abs(u[i] * m0 - s0)
            h1 = one - np.abs(u[i] * m1 - s1)
            h2 = one - np.abs(u[i] * m2 - s2)
            h3 = one - np.abs(u[i] * m3 - s3)
            low = c0 * (h0 if h0 > zero else zero) + c1 * (h1 if h1 > zero else zero)
            high = c2 * (h2 if h2 > zero else zero) + c3 * (h3 if h3 > zero else zero)
            slope[i] += low + high


@compiled_slopes
def sigmoids(slope: Array, u: Array, rises: Array, series: Array) -> None:
    """slope = Σ_k c_k e/(1 + e)², e = exp(-|u m_k - s_k|).

    exp(-z) = 2^-n exp(n ln2 - z), n = round(z / ln2): a power of two put together bit by bit, times a polynomial.
    ``series``: log2 e, ln2 in two parts, the largest z, then coefficients from the highest down. The libraries' exp
    would keep the loop from SIMD.
    """
    one, zero, half = u.dtype.type(1), u.dtype.type(0), u.dtype.type(0.5)
    single = u.itemsize == 4
    bias = u.dtype.type(127.0 if single else 1023.0)
    # Shifted into place as a float, exactly: numba's integer arithmetic has 64 bits, which halves the speed.
    mantissa = u.dtype.type(2.0**23 if single else 2.0**52)
    per_octave, ln2_high, ln2_low, most = series[0], series[1], series[2], series[3]
    for i in range(u.shape[0]):
        slope[i] = zero
    # The last eight coefficients are all that float32 needs: unrolled, they stay in registers.
    tail = series.shape[0] - 8
    c7, c6, c5, c4 = series[tail], series[tail + 1], series[tail + 2], series[tail + 3]
    c3, c2, c1, c0 = series[tail + 4], series[tail + 5], series[tail + 6], series[tail + 7]
    c8, c9, c10 = (zero, zero, zero) if single else (series[tail - 1], series[tail - 2], series[tail - 3])
    c11, c12, c13 = (zero, zero, zero) if single else (series[tail - 4], series[tail - 5], series[tail - 6])
    for k in range(rises.shape[0]):
        weight, per_unit, shift = rises[k, 0], rises[k, 1], rises[k, 2]
        for i in range(u.shape[0]):
            z = np.abs(u[i] * per_unit - shift)
            z = z if z < most else most
            octaves = np.floor(z * per_octave + half)
            f = (octaves * ln2_high - z) + octaves * ln2_low
            power = _as_float(_whole((bias - octaves) * mantissa))
            high = c7
            if not single:
                high = ((((((c13 * f + c12) * f + c11) * f + c10) * f + c9) * f + c8) * f) + c7
            e = (((((((high * f + c6) * f + c5) * f + c4) * f + c3) * f + c2) * f + c1) * f + c0) * power
            slope[i] += weight * e / ((one + e) * (one + e))


@compiled
def fill_slope(slope: Array, u: Array, given: Array, rises: Array, kind: int, series: Array) -> None:
    """The slope of one row, of the kind that ``kind`` says."""
    if kind == TRIANGLE:
        triangles(slope, u, rises)
    elif kind == SIGMOID:
        sigmoids(slope, u, rises, series)
    else:
        for i in range(slope.shape[0]):
            slope[i] = given[i]
