"""One step back of a one-hot neuron: the innermost loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled_sums

Array = NDArray[Any]


@compiled_sums
def back_by_slope(
    grad: Array, u: Array, before: Array, level: Array, later: Array, slope: Array, out: Array, decay: Any, hard: Any
) -> tuple[Any, Any, Any]:
    """g_u into ``out``; gives Σ g_y slope u, Σ g_v level and Σ g_u v.

    ``later`` is g_u of the next step; ``hard`` is 1 where a fired lane ends what comes from there, else 0.
    """
    zero = u.dtype.type(0)
    by_level = by_reset = by_decay = zero
    for i in range(out.shape[0]):
        rise = grad[i] * slope[i]
        carried = zero if level[i] * hard > zero else decay * later[i]
        g = rise + carried
        by_level += rise * u[i]
        by_reset += carried * level[i]
        by_decay += g * before[i]
        out[i] = g
    return by_level, by_reset, by_decay


@compiled_sums
def back_by_one_hat(
    grad: Array, x: Array, before: Array, level: Array, later: Array, out: Array, p: Array, hard: Any, rises: Array,
    height: Any, width: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The same, with the slope of one triangle computed on the way; ``p`` begins with decay and gain."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    decay, gain = p[0], p[1]
    c0, m0, s0 = rises[0, 0] * height, rises[0, 1] / width, rises[0, 2] / width
    by_level = by_reset = by_decay = zero
    for i in range(out.shape[0]):
        u = decay * before[i] + gain * x[i]
        h0 = one - np.abs(u * m0 - s0)
        rise = grad[i] * (c0 * (h0 if h0 > zero else zero))
        carried = zero if level[i] * hard > zero else decay * later[i]
        g = rise + carried
        by_level += rise * u
        by_reset += carried * level[i]
        by_decay += g * before[i]
        out[i] = g
    return by_level, by_reset, by_decay


@compiled_sums
def back_by_four_hats(
    grad: Array, x: Array, before: Array, level: Array, later: Array, out: Array, p: Array, hard: Any, rises: Array,
    height: Any, width: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """The same with four triangles."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    decay, gain = p[0], p[1]
    c0, m0, s0 = rises[0, 0] * height, rises[0, 1] / width, rises[0, 2] / width
    c1, m1, s1 = rises[1, 0] * height, rises[1, 1] / width, rises[1, 2] / width
    c2, m2, s2 = rises[2, 0] * height, rises[2, 1] / width, rises[2, 2] / width
    c3, m3, s3 = rises[3, 0] * height, rises[3, 1] / width, rises[3, 2] / width
    by_level = by_reset = by_decay = zero
    for i in range(out.shape[0]):
        u = decay * before[i] + gain * x[i]
        h0 = one - np.abs(u * m0 - s0)
        h1 = one - np.abs(u * m1 - s1)
        h2 = one - np.abs(u * m2 - s2)
        h3 = one - np.abs(u * m3 - s3)
        slope = c0 * (h0 if h0 > zero else zero) + c1 * (h1 if h1 > zero else zero)
        slope += c2 * (h2 if h2 > zero else zero) + c3 * (h3 if h3 > zero else zero)
        rise = grad[i] * slope
        carried = zero if level[i] * hard > zero else decay * later[i]
        g = rise + carried
        by_level += rise * u
        by_reset += carried * level[i]
        by_decay += g * before[i]
        out[i] = g
    return by_level, by_reset, by_decay
