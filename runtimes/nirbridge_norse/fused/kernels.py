"""The fused passes of the multi-level neuron, by hand: its lanes are swept or searched, not compared one by one.

Every kernel takes ``data`` [T, N] (inputs, overwritten by outputs), the membranes [N], parameters [P] and ``chunks``.
A chunk (first, last, offset, group) is a run of neurons, where their parameters begin, and the lanes that they share;
it is small enough to stay in the first-level cache over all T steps. Loops index slices from 0: with an offset in the
index numba gives up SIMD. The order of operations is that of :func:`nirbridge_norse.neurons.lanes.lane_step`,
without fused multiply-add or other shortcuts, so that both give the same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge_norse.fused.caching import compiled

Array = np.ndarray[Any, Any]


class Neurons(NamedTuple):
    """Parameters [P] of the neurons."""

    decay: Array
    gain: Array
    v_reset: Array
    group: Array
    """Which of the lanes' columns is theirs."""


class Lanes(NamedTuple):
    """Ascending thresholds (S, G); weights and amounts (S + 1, G) with zeros in row 0, for no lane."""

    threshold: Array
    weight: Array
    amount: Array


@compiled
def few_lanes(data: Array, v: Array, neurons: Neurons, lanes: Lanes, how: tuple[bool, bool], chunks: Array) -> None:
    """MultiLevelLIF with few lanes that a whole chunk shares: one sweep over the chunk for each lane.

    ``how`` says whether a spike subtracts, and whether a lane fires at its threshold too.
    """
    subtract, at_least = how
    threshold, weight, amount = lanes.threshold, lanes.weight, lanes.amount
    buffer = np.empty(np.max(chunks[:, 1] - chunks[:, 0]), data.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset, group = chunks[c, 0], chunks[c, 1], chunks[c, 2], chunks[c, 3]
        size = last - first
        state = v[first:last]
        keep = neurons.decay[offset : offset + size]
        factor = neurons.gain[offset : offset + size]
        after = neurons.v_reset[offset : offset + size]
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
def many_lanes(data: Array, v: Array, neurons: Neurons, lanes: Lanes, how: tuple[bool, bool], chunks: Array) -> None:
    """MultiLevelLIF with any lanes: a search by halves in the ascending thresholds of the neuron's group.

    ``how`` as for :func:`few_lanes`.
    """
    subtract, at_least = how
    levels, groups = lanes.threshold.shape
    limits, values, amounts = lanes.threshold.ravel(), lanes.weight.ravel(), lanes.amount.ravel()
    widest = np.max(chunks[:, 1] - chunks[:, 0])
    buffer, places = np.empty(widest, data.dtype), np.empty(widest, np.int64)
    top = 1
    while 2 * top <= levels:
        top *= 2
    last_place = levels * groups
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size = last - first
        state = v[first:last]
        keep = neurons.decay[offset : offset + size]
        factor = neurons.gain[offset : offset + size]
        after = neurons.v_reset[offset : offset + size]
        start = neurons.group[offset : offset + size]
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
