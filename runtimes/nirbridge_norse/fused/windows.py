"""Windows that integrate, wait and fire, by hand: a step has no end, and these go on behind their last input.

A chunk of neurons (see :mod:`nirbridge_norse.fused.layout`) goes through as many steps as there are frames, with its
membranes in double precision in the first-level cache.  The operations and their order are those of ``_run`` and
``_integer_run`` in :mod:`nirbridge.primitives.phase_if`, without fused multiply-add, so that the bits are the same.
Loops index slices from 0, as in :mod:`nirbridge_norse.fused.kernels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge.machine_code import loop
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge_norse.fused.layout import CHUNK, NEVER

Array = np.ndarray[Any, Any]
HIGH = STATE_LIMIT


class Neurons(NamedTuple):
    """The states [N] of the neurons of a window that is under way.

    Attributes:
        v: membranes, in double precision; of integers in single, which holds their 24 bits.
        taken: what integers have sent so far; empty where a spike takes it off the membrane, or nothing is taken.
        left: spikes that they may still send, in bytes.
        step: of their only spike, or how many phases there are, from ``leaves`` on; empty where frames are sent.
    """

    v: Array
    taken: Array
    left: Array
    step: Array


class Tables(NamedTuple):
    """Parameters in double precision; ``limits`` and ``amounts`` of integers in single.

    Attributes:
        start: [P] or, where it repeats later than thresholds do, [N]: the membranes before the first phase.
        limits: (phases, R, P) what the membrane must reach.
        least: (phases, R) spikes left from which on a limit counts; ascending, and 256 for a row that is not there.
        amounts: (phases, P) what a spike takes off; (0, P) where nothing is taken.
        gains: (phases,) of integers, each with its power of two, by which nothing is rounded.
        factor: [P] on what enters integers; empty for 1.
    """

    start: Array
    limits: Array
    least: Array
    amounts: Array
    gains: Array
    factor: Array


class Whole(NamedTuple):
    """What :func:`decide` needs.

    Attributes:
        start: [N] membranes before the first phase.
        limits: (phases, N) in single precision, from the highest to the lowest.
        gains: (phases,) as in :class:`Tables`.
        single: whether single precision holds their products with what enters.
    """

    start: Array
    limits: Array
    gains: Array
    single: bool


class Span(NamedTuple):
    """The steps of one call.

    Attributes:
        first, last: of the steps of a window, and of those that it waits behind it.
        phases: steps of a window.
        wait: steps from an input to the decision of the same phase.
        spikes: that a neuron sends in a window at most.
        enters, leaves: where the first neuron stands in a row of what enters, and in one of what leaves.
    """

    first: int
    last: int
    phases: int
    wait: int
    spikes: int
    enters: int
    leaves: int


@loop
def choose(fires: Array, higher: Array, left: Array, least: int) -> None:
    """Those with at least so many spikes left fire where ``higher`` says so."""
    many = np.uint8(least)
    for n in range(fires.shape[0]):
        enough = np.uint8(left[n] >= many)
        fires[n] = (higher[n] & enough) | (fires[n] & (enough ^ np.uint8(1)))


@loop
def send(fires: Array, left: Array, sent: Array) -> None:
    """A spike where a neuron reaches its limit and has one left."""
    for n in range(fires.shape[0]):
        fires[n] = min(fires[n], left[n])
        left[n] -= fires[n]
        sent[n] = fires[n]


@loop
def count(u: Array, limit: Array, left: Array, step: Array) -> None:
    """A neuron that has reached no limit yet, this one neither, sends its only spike at a later step."""
    for n in range(u.shape[0]):
        left[n] &= np.uint8(u[n] >= limit[n]) ^ np.uint8(1)
        step[n] += left[n]


@loop
def real(data: Array, out: Array, neurons: Neurons, base: float, tables: Tables, span: Span, chunks: Array) -> None:
    """v(t) = base v(t-1) + x(t), x = 0 behind the last phase; what a spike sends goes off v."""
    fired, more = np.empty(CHUNK, np.uint8), np.empty(CHUNK, np.uint8)
    once = neurons.step.shape[0] > 0
    takes, whole = tables.amounts.shape[0] > 0, tables.start.shape[0] == neurons.v.shape[0]
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, end = last - first, offset + last - first
        enters, leaves = span.enters + first, span.leaves + first
        sends = neurons.step[leaves : leaves + size]
        u, left, fires, higher = neurons.v[first:last], neurons.left[first:last], fired[:size], more[:size]
        if span.first == 0:
            begin = tables.start[first:last] if whole else tables.start[offset:end]
            row = data[0, enters : enters + size]
            for n in range(size):
                u[n] = begin[n] + 0 * np.float64(row[n])
                left[n] = span.spikes
            for n in range(sends.shape[0]):
                sends[n] = 0
        for t in range(span.first, span.last):
            if t < span.phases:
                row = data[t - span.first, enters : enters + size]
                for n in range(size):
                    u[n] = base * u[n] + np.float64(row[n])
            else:
                for n in range(size):
                    u[n] = base * u[n]
            k = t - span.wait
            if k >= 0 and once:
                count(u, tables.limits[k, 0, offset:end], left, sends)
            elif k >= 0:
                for r in range(tables.least.shape[1]):
                    least, limit = tables.least[k, r], tables.limits[k, r, offset:end]
                    reaches = fires if r == 0 else higher
                    if least < NEVER:
                        for n in range(size):
                            reaches[n] = 1 if u[n] >= limit[n] else 0
                        if r > 0:
                            choose(fires, higher, left, least)
                send(fires, left, out[k, leaves : leaves + size])
                if takes:
                    amount = tables.amounts[k, offset:end]
                    for n in range(size):
                        u[n] = u[n] - np.float64(fires[n]) * amount[n]


@loop
def integer(data: Array, out: Array, neurons: Neurons, tables: Tables, span: Span, chunks: Array) -> None:
    """v(t) = clip(v(t-1) + tz(x(t)·gain)); behind the last phase it stays; what was sent is kept beside it.

    States and what they differ by have 24 bits and a sign, so that single precision is exact; a product or an amount
    that it rounds leaves their range all the same.
    """
    fired, more, apart = np.empty(CHUNK, np.uint8), np.empty(CHUNK, np.uint8), np.empty(CHUNK, np.float32)
    once = neurons.step.shape[0] > 0
    takes, whole = tables.amounts.shape[0] > 0, tables.start.shape[0] == neurons.v.shape[0]
    high = np.float32(HIGH)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, end = last - first, offset + last - first
        enters, leaves = span.enters + first, span.leaves + first
        sends = neurons.step[leaves : leaves + size]
        u, left, fires, higher = neurons.v[first:last], neurons.left[first:last], fired[:size], more[:size]
        taken = neurons.taken[first:last] if takes else neurons.taken
        rest = apart[:size] if takes else u
        if span.first == 0:
            begin = tables.start[first:last] if whole else tables.start[offset:end]
            for n in range(size):
                u[n] = begin[n]
                left[n] = span.spikes
            for n in range(sends.shape[0]):
                sends[n] = 0
            taken[:] = 0
        for t in range(span.first, span.last):
            if t < span.phases:
                row = data[t - span.first, enters : enters + size]
                gain = tables.gains[t]
                if tables.factor.shape[0]:
                    factor = tables.factor[offset:end]
                    for n in range(size):
                        step = np.float32(np.trunc(np.float64(row[n]) * factor[n] * gain))
                        u[n] = min(max(u[n] + step, -high), high)
                else:
                    for n in range(size):
                        step = np.float32(np.trunc(np.float64(row[n]) * gain))
                        u[n] = min(max(u[n] + step, -high), high)
            k = t - span.wait
            if k >= 0 and once:
                count(u, tables.limits[k, 0, offset:end], left, sends)
            elif k >= 0:
                if takes:
                    for n in range(size):
                        rest[n] = u[n] - taken[n]
                for r in range(tables.least.shape[1]):
                    least, limit = tables.least[k, r], tables.limits[k, r, offset:end]
                    reaches = fires if r == 0 else higher
                    if least < NEVER:
                        for n in range(size):
                            reaches[n] = 1 if rest[n] >= limit[n] else 0
                        if r > 0:
                            choose(fires, higher, left, least)
                send(fires, left, out[k, leaves : leaves + size])
                if takes:
                    amount = tables.amounts[k, offset:end]
                    for n in range(size):
                        taken[n] = min(max(taken[n] + np.float32(fires[n]) * amount[n], -high), high)


@loop
def decide(data: Array, u: Array, step: Array, whole: Whole) -> None:
    """The same of a whole window [phases, N], behind which neurons send one spike at most: the step of it.

    ``u`` is their memory for membranes.  A neuron reaches all limits behind the first that it reaches.
    """
    high = np.float32(HIGH)
    for n in range(u.shape[0]):
        u[n] = whole.start[n]
        step[n] = 0
    for t in range(whole.gains.shape[0]):
        row, gain = data[t], whole.gains[t]
        if whole.single:
            factor = np.float32(gain)
            for n in range(u.shape[0]):
                u[n] = min(max(u[n] + np.trunc(row[n] * factor), -high), high)
        else:
            for n in range(u.shape[0]):
                u[n] = min(max(u[n] + np.float32(np.trunc(np.float64(row[n]) * gain)), -high), high)
    for k in range(whole.limits.shape[0]):
        limit = whole.limits[k]
        for n in range(u.shape[0]):
            step[n] += np.uint8(u[n] < limit[n])


@loop
def digits(
    data: Array, out: Array, tables: tuple[Array, Array], integers: bool, at: tuple[int, int], chunks: Array
) -> None:
    """r = x / scale, or clip(x·scale) of integers; at each phase a spike where r reaches its value, which is taken off.

    ``at`` says where the first neuron stands in ``data`` [N'] and in a row of ``out`` [phases, N''].
    """
    scale, values = tables
    rest, fired = np.empty(CHUNK, np.float64), np.empty(CHUNK, np.uint8)
    high = np.float64(HIGH)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, end = last - first, offset + last - first
        r, fires, unit = rest[:size], fired[:size], scale[offset:end]
        given = data[at[0] + first : at[0] + last]
        if integers:
            for n in range(size):
                r[n] = min(max(np.float64(given[n]) * unit[n], -high), high)
        else:
            for n in range(size):
                r[n] = np.float64(given[n]) / unit[n]
        for k in range(out.shape[0]):
            value, sent = values[k, offset:end], out[k, at[1] + first : at[1] + last]
            for n in range(size):
                left = r[n] - value[n]
                fires[n] = 1 if r[n] >= value[n] else 0
                r[n] = left if r[n] >= value[n] else r[n]
            for n in range(size):
                sent[n] = fires[n]
