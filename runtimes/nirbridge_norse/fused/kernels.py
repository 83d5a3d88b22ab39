"""Fused neuron passes for the CPU: all steps of one neuron node in one sweep over memory, in place.

Every kernel takes ``data`` [T, N] (inputs, overwritten by outputs), the states [N], parameters [P] and ``chunks``.
A chunk (first, last, offset, group) is a run of neurons, where their parameters begin, and the lanes that they share;
it is small enough to stay in the first-level cache over all T steps. Loops index slices from 0: with an offset in the
index numba gives up SIMD. The order of operations is that of the step functions in :mod:`nirbridge_norse.functional`,
without fused multiply-add or other shortcuts, so that both give the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge_norse.fused.caching import compiled

Array = np.ndarray[Any, Any]


@compiled
def integrate(
    data: Array,
    v: Array,
    r: Array,
    threshold: Array,
    reset: Array,
    spiking: bool,
    subtract: bool,
    chunks: Array,
) -> None:
    """I and IF: v += r x; where ``spiking``, a spike where v > threshold, then v = reset (``subtract``: v -= reset)."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        factor = r[offset : offset + size]
        limit = threshold[offset : offset + size]
        after = reset[offset : offset + size]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            if spiking:
                for i in range(size):
                    u = state[i] + factor[i] * row[i]
                    fires = u > limit[i]
                    row[i] = 1 if fires else 0
                    left = u - after[i] if subtract else after[i]
                    state[i] = left if fires else u
            else:
                for i in range(size):
                    state[i] = state[i] + factor[i] * row[i]
                    row[i] = state[i]


@compiled
def leak(
    data: Array,
    v: Array,
    rate: Array,
    v_leak: Array,
    r: Array,
    threshold: Array,
    reset: Array,
    spiking: bool,
    subtract: bool,
    chunks: Array,
) -> None:
    """LI and LIF: v += rate (v_leak - v + r x); where ``spiking``, a spike as in :func:`integrate`."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        share = rate[offset : offset + size]
        rest = v_leak[offset : offset + size]
        factor = r[offset : offset + size]
        limit = threshold[offset : offset + size]
        after = reset[offset : offset + size]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            if spiking:
                for i in range(size):
                    u = state[i] + share[i] * (rest[i] - state[i] + factor[i] * row[i])
                    fires = u > limit[i]
                    row[i] = 1 if fires else 0
                    left = u - after[i] if subtract else after[i]
                    state[i] = left if fires else u
            else:
                for i in range(size):
                    u = state[i] + share[i] * (rest[i] - state[i] + factor[i] * row[i])
                    row[i] = u
                    state[i] = u


@compiled
def current_leak(
    data: Array,
    current: Array,
    v: Array,
    rate_syn: Array,
    w_in: Array,
    rate_mem: Array,
    v_leak: Array,
    r: Array,
    threshold: Array,
    reset: Array,
    spiking: bool,
    subtract: bool,
    chunks: Array,
) -> None:
    """CubaLI and CubaLIF: i += rate_syn (w_in x - i), then :func:`leak` with i as the input."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        flow = current[first:last]
        state = v[first:last]
        inflow = rate_syn[offset : offset + size]
        weight = w_in[offset : offset + size]
        share = rate_mem[offset : offset + size]
        rest = v_leak[offset : offset + size]
        factor = r[offset : offset + size]
        limit = threshold[offset : offset + size]
        after = reset[offset : offset + size]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            for i in range(size):
                flow[i] = flow[i] + inflow[i] * (weight[i] * row[i] - flow[i])
                row[i] = state[i] + share[i] * (rest[i] - state[i] + factor[i] * flow[i])
            if spiking:
                for i in range(size):
                    u = row[i]
                    fires = u > limit[i]
                    row[i] = 1 if fires else 0
                    left = u - after[i] if subtract else after[i]
                    state[i] = left if fires else u
            else:
                for i in range(size):
                    state[i] = row[i]


@compiled
def few_lanes(
    data: Array,
    v: Array,
    decay: Array,
    gain: Array,
    threshold: Array,
    weight: Array,
    amount: Array,
    v_reset: Array,
    subtract: bool,
    at_least: bool,
    chunks: Array,
) -> None:
    """MultiLevelLIF with few lanes that a whole chunk shares: one sweep over the chunk for each lane.

    ``threshold`` is (S, G), ``weight`` and ``amount`` are (S + 1, G) with zeros in row 0, for no lane.
    """
    buffer = np.empty(np.max(chunks[:, 1] - chunks[:, 0]), data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset, group = chunks[c, 0], chunks[c, 1], chunks[c, 2], chunks[c, 3]
        size = last - first
        state = v[first:last]
        keep = decay[offset : offset + size]
        factor = gain[offset : offset + size]
        after = v_reset[offset : offset + size]
        u = buffer[:size]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            for i in range(size):
                u[i] = keep[i] * state[i] + factor[i] * row[i]
                state[i] = u[i]
                row[i] = 0
            for lane in range(threshold.shape[0]):
                limit, value, taken = threshold[lane, group], weight[lane + 1, group], amount[lane + 1, group]
                for i in range(size):
                    fires = (u[i] > limit) | (at_least & (u[i] == limit))
                    left = u[i] - taken if subtract else after[i]
                    row[i] = value if fires else row[i]
                    state[i] = left if fires else state[i]


@compiled
def many_lanes(
    data: Array,
    v: Array,
    decay: Array,
    gain: Array,
    group: Array,
    threshold: Array,
    weight: Array,
    amount: Array,
    v_reset: Array,
    subtract: bool,
    at_least: bool,
    chunks: Array,
) -> None:
    """MultiLevelLIF with any lanes: a search by halves in the ascending thresholds of the neuron's group.

    ``threshold`` is (S, G), ``weight`` and ``amount`` are (S + 1, G) with zeros in row 0, for no lane.
    """
    lanes, groups = threshold.shape
    limits, values, amounts = threshold.ravel(), weight.ravel(), amount.ravel()
    widest = np.max(chunks[:, 1] - chunks[:, 0])
    buffer, places = np.empty(widest, data.dtype), np.empty(widest, np.int64)
    top = 1
    while 2 * top <= lanes:
        top *= 2
    last_place = lanes * groups
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        keep = decay[offset : offset + size]
        factor = gain[offset : offset + size]
        after = v_reset[offset : offset + size]
        start = group[offset : offset + size]
        u, place = buffer[:size], places[:size]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            for i in range(size):
                u[i] = keep[i] * state[i] + factor[i] * row[i]
                place[i] = start[i]
            half = top
            while half > 0:
                stride = half * groups
                for i in range(size):
                    tried = place[i] + stride
                    inside = tried < last_place + groups
                    limit = limits[np.uint64((tried if inside else stride) - groups)]
                    passed = inside & ((u[i] > limit) | (at_least & (u[i] == limit)))
                    place[i] = tried if passed else place[i]
                half //= 2
            for i in range(size):
                at = np.uint64(place[i])
                row[i] = values[at]
                left = u[i] - amounts[at] if subtract else after[i]
                state[i] = left if place[i] >= groups else u[i]
