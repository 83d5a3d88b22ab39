"""The compiled passes of precision "fixed", in the layout of :mod:`nirbridge_norse.fused.kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.checking.fixed_point import STATE_LIMIT
from nirbridge_norse.fused.caching import compiled

Array = np.ndarray[Any, Any]
HIGH, LOW = float(STATE_LIMIT), -float(STATE_LIMIT)
FEW_LANES = 8


@compiled
def charge(row: Array, state: Array, keep: Array, gain: Array) -> None:
    """``state`` = clip(tz(state keep) + gain row)."""
    for i in range(row.shape[0]):
        u = np.trunc(state[i] * keep[i]) + gain[i] * row[i]
        state[i] = min(max(u, LOW), HIGH)


@compiled
def send_membrane(
    data: Array, v: Array, current: Array, keep: Array, gain: Array, keep_current: Array, ones: Array, chunks: Array
) -> None:
    """I, LI and CubaLI; an empty ``current`` means no synapse."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        end = offset + last - first
        state = v[first:last]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            if current.shape[0]:
                flow = current[first:last]
                charge(row, flow, keep_current[offset:end], ones[offset:end])
                row[:] = flow
            charge(row, state, keep[offset:end], gain[offset:end])
            row[:] = state


@compiled
def sweep(
    row: Array,
    state: Array,
    u: Array,
    limits: Array,
    values: Array,
    amounts: Array,
    after: Array,
    subtract: bool,
    at_least: bool,
) -> None:
    """Few lanes that all neurons share: one sweep over the neurons for each lane."""
    for i in range(row.shape[0]):
        u[i] = state[i]
        row[i] = 0
    for lane in range(limits.shape[0]):
        limit, value, taken = limits[lane], values[lane + 1], amounts[lane + 1]
        for i in range(row.shape[0]):
            fires = (u[i] > limit) | (at_least & (u[i] == limit))
            left = min(max(u[i] - taken, LOW), HIGH) if subtract else after[i]
            row[i] = value if fires else row[i]
            state[i] = left if fires else state[i]


@compiled
def search(
    row: Array,
    state: Array,
    place: Array,
    start: Array,
    limits: Array,
    values: Array,
    amounts: Array,
    groups: int,
    after: Array,
    subtract: bool,
    at_least: bool,
) -> None:
    """Any lanes: a search by halves in the ascending thresholds of the neuron's group, as in ``many_lanes``."""
    size, end = row.shape[0], limits.shape[0] + groups
    for i in range(size):
        place[i] = start[i]
    half = 1
    while 2 * half * groups <= limits.shape[0]:
        half *= 2
    while half > 0:
        stride = half * groups
        for i in range(size):
            tried = place[i] + stride
            inside = tried < end
            limit = limits[np.uint64((tried if inside else stride) - groups)]
            passed = inside & ((state[i] > limit) | (at_least & (state[i] == limit)))
            place[i] = tried if passed else place[i]
        half //= 2
    for i in range(size):
        at = np.uint64(place[i])
        row[i] = values[at]
        left = min(max(state[i] - amounts[at], LOW), HIGH) if subtract else after[i]
        state[i] = left if place[i] >= groups else state[i]


@compiled
def fire(
    data: Array,
    v: Array,
    current: Array,
    keep: Array,
    gain: Array,
    keep_current: Array,
    ones: Array,
    group: Array,
    threshold: Array,
    weight: Array,
    amount: Array,
    v_reset: Array,
    subtract: bool,
    at_least: bool,
    chunks: Array,
) -> None:
    """Neurons with lanes; tables as in ``many_lanes``, an empty ``current`` means no synapse."""
    lanes, groups = threshold.shape
    limits, values, amounts = threshold.ravel(), weight.ravel(), amount.ravel()
    widest = np.max(chunks[:, 1] - chunks[:, 0])
    place, u = np.empty(widest, np.int64), np.empty(widest, np.float64)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        end = offset + last - first
        state, after = v[first:last], v_reset[offset:end]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            if current.shape[0]:
                flow = current[first:last]
                charge(row, flow, keep_current[offset:end], ones[offset:end])
                row[:] = flow
            charge(row, state, keep[offset:end], gain[offset:end])
            if groups == 1 and lanes <= FEW_LANES:
                sweep(row, state, u, limits, values, amounts, after, subtract, at_least)
            else:
                start = group[offset:end]
                search(row, state, place, start, limits, values, amounts, groups, after, subtract, at_least)
