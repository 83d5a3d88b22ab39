"""Surrogate slopes of one row: slope[i] = Σ_k c_k h(u[i] m_k - s_k) over the rows (c, m, s) of ``rises``.

h is a triangle, max(0, 1 - |r|), or a sigmoid's slope, σ(r)(1 - σ(r)).
The sum is the slope of a level over the membrane, see
:class:`nirbridge.neurons.gradients.OneHotSlope` and ``UniformSlope``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.machine_code import fusing_loop, loop
from nirbridge.neurons.fused.bits import two_to
from nirbridge.neurons.fused.rows import copy
from nirbridge.neurons.fused.structs import Curve
from nirbridge.neurons.fused.surrogates import GIVEN, TRIANGLE

Array = NDArray[Any]


@fusing_loop
def triangles(slope: Array, u: Array, rises: Array) -> None:
    """slope = Σ_k c_k max(0, 1 - |u m_k - s_k|)."""
    one, zero = u.dtype.type(1), u.dtype.type(0)
    for k in range(rises.shape[0]):
        weight, per_unit, shift = rises[k, 0], rises[k, 1], rises[k, 2]
        for i in range(u.shape[0]):
            h = one - np.abs(u[i] * per_unit - shift)
            slope[i] += weight * (h if h > zero else zero)


@fusing_loop
def sigmoids(slope: Array, u: Array, rises: Array, series: Array) -> None:
    """slope = Σ_k c_k e/(1 + e)², e = exp(-|u m_k - s_k|).

    exp(-z) = 2^-n exp(n ln2 - z), n = round(z / ln2): a power of two times a polynomial.
    ``series``: log2 e, ln2 in two parts, the largest z, then 14 coefficients from the highest down, of which float32
    needs the last eight; unrolled, they stay in registers.
    """
    one, half = u.dtype.type(1), u.dtype.type(0.5)
    single = u.itemsize == 4
    per_octave, ln2_high, ln2_low, most = series[0], series[1], series[2], series[3]
    c13, c12, c11, c10, c9, c8 = series[4], series[5], series[6], series[7], series[8], series[9]
    c7, c6, c5, c4, c3, c2, c1, c0 = (
        series[10], series[11], series[12], series[13], series[14], series[15], series[16], series[17]
    )  # fmt: skip
    for k in range(rises.shape[0]):
        weight, per_unit, shift = rises[k, 0], rises[k, 1], rises[k, 2]
        for i in range(u.shape[0]):
            z = np.abs(u[i] * per_unit - shift)
            z = z if z < most else most
            octaves = np.floor(z * per_octave + half)
            f = (octaves * ln2_high - z) + octaves * ln2_low
            high = c7
            if not single:
                high = ((((((c13 * f + c12) * f + c11) * f + c10) * f + c9) * f + c8) * f) + c7
            e = (((((((high * f + c6) * f + c5) * f + c4) * f + c3) * f + c2) * f + c1) * f + c0) * two_to(-octaves)
            slope[i] += weight * e / ((one + e) * (one + e))


@loop
def fill_slope(slope: Array, u: Array, curve: Curve, group: int, t: int, first: int) -> None:
    """The slopes of a row of membranes ``u``, which begins at neuron ``first``."""
    if curve.kind == GIVEN:
        copy(curve.given[t, first : first + u.shape[0]], slope)
        return
    slope[:] = 0
    if curve.kind == TRIANGLE:
        triangles(slope, u, curve.rises[group])
    else:
        sigmoids(slope, u, curve.rises[group], curve.series)
