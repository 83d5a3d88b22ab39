"""The fused pass of the multi-level neuron, by hand: its lanes are swept or searched, not compared one by one.

It takes ``data`` and ``out`` [T, N], inputs and outputs, which may be the same memory; the membranes [N], parameters
[P] and ``chunks``.  A chunk (first, last, offset, group) is a run of neurons, where their parameters begin, and the
lanes that they share; it is small enough to stay in the first-level cache over all T steps.  Loops index slices from
0: with an offset in the index numba gives up SIMD.  The order of operations is that of
:func:`nirbridge_norse.neurons.lanes.lane_step`, without fused multiply-add or other shortcuts, so that both give the
same bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge.machine_code import loop

Array = np.ndarray[Any, Any]
TOGETHER = 4
"""Lanes that one sweep takes; tables are filled up to a multiple of it with the highest lane."""


class Neurons(NamedTuple):
    """Parameters [P] of the neurons."""

    decay: Array
    gain: Array
    v_reset: Array
    group: Array
    """Which of the lanes' columns is theirs."""


class Lanes(NamedTuple):
    """Ascending thresholds (S, G), to be passed; weights and amounts (S + 1, G) with zeros in row 0, for no lane.

    Where a spike resets to a value the amounts of all lanes are 1.
    """

    threshold: Array
    weight: Array
    amount: Array


@loop
def fire(row: Array, state: Array, sent: Array, neurons: Neurons, lanes: Lanes, group: int, subtract: bool) -> None:
    """A step where all of the neurons share four lanes: once over them."""
    zero, (threshold, weight, amount), (keep, factor, after, _) = row.dtype.type(0), lanes, neurons
    limit1, value1, amount1 = threshold[0, group], weight[1, group], amount[1, group]
    limit2, value2, amount2 = threshold[1, group], weight[2, group], amount[2, group]
    limit3, value3, amount3 = threshold[2, group], weight[3, group], amount[3, group]
    limit4, value4, amount4 = threshold[3, group], weight[4, group], amount[4, group]
    for i in range(row.shape[0]):
        reset = after[i]  # read whether or not it is taken, or numba gives up SIMD
        u = keep[i] * state[i] + factor[i] * row[i]
        y, a = value1 if u > limit1 else zero, amount1 if u > limit1 else zero
        y, a = value2 if u > limit2 else y, amount2 if u > limit2 else a
        y, a = value3 if u > limit3 else y, amount3 if u > limit3 else a
        y, a = value4 if u > limit4 else y, amount4 if u > limit4 else a
        sent[i] = y
        if subtract:
            state[i] = u - a
        else:
            state[i] = reset if a > 0 else u


@loop
def sweep(u: Array, sent: Array, taken: Array, lanes: Lanes, group: int) -> None:
    """More lanes, but few, that all of the neurons share: once over the neurons for each four lanes."""
    one, threshold, weight, amount = u.dtype.type, lanes.threshold, lanes.weight, lanes.amount
    for k in range(0, threshold.shape[0], TOGETHER):
        limit1, value1, amount1 = threshold[k, group], weight[k + 1, group], amount[k + 1, group]
        limit2, value2, amount2 = threshold[k + 1, group], weight[k + 2, group], amount[k + 2, group]
        limit3, value3, amount3 = threshold[k + 2, group], weight[k + 3, group], amount[k + 3, group]
        limit4, value4, amount4 = threshold[k + 3, group], weight[k + 4, group], amount[k + 4, group]
        for i in range(u.shape[0]):
            y, a = one(0) if k == 0 else sent[i], one(0) if k == 0 else taken[i]
            y, a = value1 if u[i] > limit1 else y, amount1 if u[i] > limit1 else a
            y, a = value2 if u[i] > limit2 else y, amount2 if u[i] > limit2 else a
            y, a = value3 if u[i] > limit3 else y, amount3 if u[i] > limit3 else a
            y, a = value4 if u[i] > limit4 else y, amount4 if u[i] > limit4 else a
            sent[i], taken[i] = y, a


@loop
def search(u: Array, sent: Array, taken: Array, lanes: Lanes, start: Array, place: Array) -> None:
    """Any lanes: a search by halves in the ascending thresholds of each neuron's group."""
    levels, groups = lanes.threshold.shape
    limits, values, amounts = lanes.threshold.ravel(), lanes.weight.ravel(), lanes.amount.ravel()
    size, end = u.shape[0], (levels + 1) * groups
    for i in range(size):
        place[i] = start[i]
    half = 1
    while 2 * half <= levels:
        half *= 2
    while half > 0:
        stride = half * groups
        for i in range(size):
            tried = place[i] + stride
            inside = tried < end
            limit = limits[np.uint64((tried if inside else stride) - groups)]
            place[i] = tried if inside & (u[i] > limit) else place[i]
        half //= 2
    for i in range(size):
        at = np.uint64(place[i])
        sent[i], taken[i] = values[at], amounts[at]


@loop
def run_lanes(
    data: Array, out: Array, v: Array, neurons: Neurons, lanes: Lanes, how: tuple[bool, bool], chunks: Array
) -> None:
    """MultiLevelLIF; ``how`` says whether a spike subtracts, and whether lanes are swept."""
    subtract, swept = how
    at_once = swept and lanes.threshold.shape[0] == TOGETHER
    widest = np.max(chunks[:, 1] - chunks[:, 0])
    charged, taken, places = np.empty(widest, v.dtype), np.empty(widest, v.dtype), np.empty(widest, np.int64)
    buffer = np.empty(widest, v.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset, group = chunks[c, 0], chunks[c, 1], chunks[c, 2], chunks[c, 3]
        size = last - first
        state = v[first:last]
        keep = neurons.decay[offset : offset + size]
        factor = neurons.gain[offset : offset + size]
        after = neurons.v_reset[offset : offset + size]
        start = neurons.group[offset : offset + size]
        own = Neurons(keep, factor, after, start)
        u, amount, y = charged[:size], taken[:size], buffer[:size]
        for t in range(data.shape[0]):
            row, sent = data[t, first:last], out[t, first:last]
            if at_once:
                fire(row, state, y, own, lanes, group, subtract)
                for i in range(size):
                    sent[i] = y[i]
                continue
            for i in range(size):
                u[i] = keep[i] * state[i] + factor[i] * row[i]
            if swept:
                sweep(u, y, amount, lanes, group)
            else:
                search(u, y, amount, lanes, start, places[:size])
            for i in range(size):
                sent[i] = y[i]
            if subtract:
                for i in range(size):
                    state[i] = u[i] - amount[i]
            else:
                for i in range(size):
                    reset, stays = after[i], u[i]
                    state[i] = reset if amount[i] > 0 else stays
