"""The compiled passes of precision "fixed", in the layout of :mod:`nirbridge_norse.fused.kernels`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge_norse.fused.caching import compiled
from nirbridge_norse.fused.kernels import Lanes

Array = np.ndarray[Any, Any]
HIGH, LOW = float(STATE_LIMIT), -float(STATE_LIMIT)
FEW_LANES = 8


@compiled
def charge(row: Array, state: Array, keep: Array, gain: Array) -> None:
    """``state`` = clip(tz(state keep) + gain row)."""
    for i in range(row.shape[0]):
        u = np.trunc(state[i] * keep[i]) + gain[i] * row[i]
        state[i] = min(max(u, LOW), HIGH)


class Neurons(NamedTuple):
    """Parameters [P] of the neurons; decays as k/4096.

    Attributes:
        keep: of the membrane.
        gain: on the input.
        keep_current: of the synapse, where there is one.
        ones: as many ones.
        v_reset: the membrane after a spike that does not subtract.
        group: which of the lanes' columns is theirs.
    """

    keep: Array
    gain: Array
    keep_current: Array
    ones: Array
    v_reset: Array
    group: Array


@compiled
def charge_all(row: Array, state: Array, flow: Array, neurons: Neurons, offset: int, end: int) -> None:
    """The synapse, where ``flow`` is not empty, and the membrane behind it."""
    if flow.shape[0]:
        charge(row, flow, neurons.keep_current[offset:end], neurons.ones[offset:end])
        row[:] = flow
    charge(row, state, neurons.keep[offset:end], neurons.gain[offset:end])


@compiled
def send_membrane(data: Array, v: Array, current: Array, neurons: Neurons, chunks: Array) -> None:
    """Neurons without lanes; an empty ``current`` means no synapse."""
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        state, flow = v[first:last], current[first:last]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            charge_all(row, state, flow, neurons, offset, offset + last - first)
            row[:] = state


class FlatLanes(NamedTuple):
    """The tables of :class:`Lanes` one row after the other, and the length of a row."""

    threshold: Array
    weight: Array
    amount: Array
    groups: int


@compiled
def sweep(row: Array, state: Array, u: Array, lanes: FlatLanes, after: Array, how: tuple[bool, bool]) -> None:
    """Few lanes that all neurons share: one sweep over the neurons for each lane."""
    limits, values, amounts, _ = lanes
    subtract, at_least = how
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
    row: Array, state: Array, place: Array, start: Array, lanes: FlatLanes, after: Array, how: tuple[bool, bool]
) -> None:
    """Any lanes: a search by halves in the ascending thresholds of the neuron's group, as in ``many_lanes``."""
    limits, values, amounts, groups = lanes
    subtract, at_least = how
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
    data: Array, v: Array, current: Array, neurons: Neurons, lanes: Lanes, how: tuple[bool, bool], chunks: Array
) -> None:
    """Neurons with lanes; ``how`` as for ``few_lanes``, an empty ``current`` means no synapse."""
    levels, groups = lanes.threshold.shape
    flat = FlatLanes(lanes.threshold.ravel(), lanes.weight.ravel(), lanes.amount.ravel(), groups)
    widest = np.max(chunks[:, 1] - chunks[:, 0])
    place, u = np.empty(widest, np.int64), np.empty(widest, np.float64)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        end = offset + last - first
        state, flow, after = v[first:last], current[first:last], neurons.v_reset[offset:end]
        for t in range(data.shape[0]):
            row = data[t, first:last]
            charge_all(row, state, flow, neurons, offset, end)
            if groups == 1 and levels <= FEW_LANES:
                sweep(row, state, u, flat, after, how)
            else:
                search(row, state, place, neurons.group[offset:end], flat, after, how)
