"""Backward passes: gradients of ``y`` [T, N] to those of ``x`` [T, N], from the last step to the first.

``slopes`` has T rows of dlevel/du where a surrogate is not compiled in, else none. ``in_theta`` and ``in_decay``
receive sums over time and batch, laid out as the parameters. ``scratch`` is (6, width), ``bits`` (width,) integers of
the same size, ``powers`` the same memory as floats.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.neurons.fused.compiling import compiled
from nirbridge.neurons.fused.slopes import TRIANGLE, add_sigmoid, add_triangle

Array = NDArray[Any]


@compiled
def _slope(
    slope: Array, scaled: Array, rises: Array, kind: int, shape: Array, series: Array, bits: Array, powers: Array,
    rest: Array, e: Array,
) -> None:  # fmt: skip
    """slope = Σ factor h(scaled per_unit - shift) over the rows (factor, per_unit, shift) of ``rises``."""
    slope[:] = 0
    for s in range(rises.shape[0]):
        factor, per_unit, shift = rises[s, 0], rises[s, 1], rises[s, 2]
        if kind == TRIANGLE:
            add_triangle(slope, scaled, factor, per_unit, shift, shape[0], shape[1])
        else:
            add_sigmoid(slope, scaled, factor, per_unit, shift, shape[0], series, bits, powers, rest, e)


@compiled
def one_hot(
    grad: Array, u: Array, y: Array, v_init: Array, out: Array, decay: Array, gain: Any, theta: Array, slopes: Array,
    rises: Array, kind: int, shape: Array, series: Array, subtract: bool, v_reset: Any, in_theta: Array,
    in_decay: Array, want_theta: bool, want_decay: bool, scratch: Array, bits: Array, powers: Array, chunks: Array,
) -> None:  # fmt: skip
    """One-hot neuron; the fired lane is detached in the reset.

    g_u[t] = g_y[t] slope + g_v[t] a, a = 1 ("subtract") or 0 where a lane fired; g_v[t-1] = decay g_u[t];
    g_θ = -Σ g_y slope u/θ - Σ g_v y ("subtract" alone); g_decay = Σ g_u[t] v[t-1].
    """
    steps = grad.shape[0]
    zero = theta.dtype.type(0)
    one = theta.dtype.type(1)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        keep = decay[offset : offset + size]
        limit = theta[offset : offset + size]
        sum_theta = in_theta[offset : offset + size]
        sum_decay = in_decay[offset : offset + size]
        slope, scaled, carried, inverse = scratch[0, :size], scratch[1, :size], scratch[2, :size], scratch[5, :size]
        carried[:] = 0
        for i in range(size):
            inverse[i] = one / limit[i]
        for back in range(steps):
            t = steps - 1 - back
            row, charged, fired = grad[t, first:last], u[t, first:last], y[t, first:last]
            result = out[t, first:last]
            for i in range(size):
                scaled[i] = charged[i] * inverse[i]
            if slopes.shape[0] > 0:
                given = slopes[t, first:last]
                for i in range(size):
                    result[i] = row[i] * given[i]
            else:
                _slope(slope, scaled, rises, kind, shape, series, bits, powers, scratch[3], scratch[4])
                for i in range(size):
                    result[i] = row[i] * slope[i] * inverse[i]
            if want_theta:
                for i in range(size):
                    sum_theta[i] -= result[i] * scaled[i]
                if subtract:
                    for i in range(size):
                        sum_theta[i] -= carried[i] * fired[i]
            if subtract:
                for i in range(size):
                    result[i] += carried[i]
            else:
                for i in range(size):
                    result[i] += zero if fired[i] > zero else carried[i]
            if want_decay:
                if t == 0:
                    start = v_init[first:last]
                    for i in range(size):
                        sum_decay[i] += result[i] * start[i]
                else:
                    charged, fired = u[t - 1, first:last], y[t - 1, first:last]
                    for i in range(size):
                        left = charged[i] - fired[i] * limit[i]
                        hard = v_reset if fired[i] > zero else charged[i]
                        sum_decay[i] += result[i] * (left if subtract else hard)
            for i in range(size):
                carried[i] = keep[i] * result[i]
                result[i] = gain * result[i]


@compiled
def uniform(
    grad: Array, u: Array, y: Array, out: Array, quantum: Array, slopes: Array, rises: Array, kind: int, shape: Array,
    series: Array, sends_values: bool, in_quantum: Array, scratch: Array, bits: Array, powers: Array, chunks: Array,
) -> None:  # fmt: skip
    """Equal levels with the gradient through the reset, no leak.

    g_value = g_y - g_v (z sent: -g_v), g_z = g_value q (z sent: + g_y), g_u = g_v + g_z slope, g_v[t-1] = g_u;
    g_q = Σ g_value z - Σ g_z slope u/q.
    """
    steps = grad.shape[0]
    half = quantum.dtype.type(0.5)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        q = quantum[offset : offset + size]
        sum_quantum = in_quantum[offset : offset + size]
        slope, scaled, carried = scratch[0, :size], scratch[1, :size], scratch[2, :size]
        carried[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            row, charged, sent = grad[t, first:last], u[t, first:last], y[t, first:last]
            result = out[t, first:last]
            for i in range(size):
                scaled[i] = charged[i] / q[i]
            if slopes.shape[0] > 0:
                given = slopes[t, first:last]
                for i in range(size):
                    slope[i] = given[i] * q[i]
            else:
                _slope(slope, scaled, rises, kind, shape, series, bits, powers, scratch[3], scratch[4])
            # slope is dz/d(u/q) from here on, so that g_z slope = g_z/q · slope needs no division.
            if sends_values:
                for i in range(size):
                    g = row[i] - carried[i]
                    rise = g * slope[i]
                    level = np.floor(sent[i] / q[i] + half)
                    sum_quantum[i] += g * level - rise * scaled[i]
                    result[i] = carried[i] + rise
            else:
                for i in range(size):
                    rise = (row[i] / q[i] - carried[i]) * slope[i]
                    sum_quantum[i] -= carried[i] * sent[i] + rise * scaled[i]
                    result[i] = carried[i] + rise
            for i in range(size):
                carried[i] = result[i]


@compiled
def straight(
    grad: Array, u: Array, y: Array, v_init: Array, out: Array, decay: Array, low: Array, high: Array, carries: bool,
    in_decay: Array, scratch: Array, chunks: Array,
) -> None:  # fmt: skip
    """Straight through within low <= u <= high: w = 1, else 0.

    g_u[t] = g_y w + g_v (1 - w) and g_v[t-1] = g_u[t] where ``carries``, else g_u[t] = g_y w;
    g_decay = Σ g_u[t] v[t-1], v = u - y.
    """
    steps = grad.shape[0]
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        bottom, top = low[offset : offset + size], high[offset : offset + size]
        sum_decay = in_decay[offset : offset + size]
        carried = scratch[0, :size]
        carried[:] = 0
        for back in range(steps):
            t = steps - 1 - back
            row, charged, result = grad[t, first:last], u[t, first:last], out[t, first:last]
            for i in range(size):
                inside = (charged[i] >= bottom[i]) & (charged[i] <= top[i])
                result[i] = row[i] if inside else carried[i]
            if carries:
                for i in range(size):
                    carried[i] = result[i]
            elif t == 0:
                start = v_init[first:last]
                for i in range(size):
                    sum_decay[i] += result[i] * start[i]
            else:
                charged, sent = u[t - 1, first:last], y[t - 1, first:last]
                for i in range(size):
                    sum_decay[i] += result[i] * (charged[i] - sent[i])
