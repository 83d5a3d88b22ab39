"""The compiled pass of precision "fixed", in the layout of :mod:`nirbridge_norse.fused.kernels`.

States and parameters are whole numbers in floating point, which is exact; in single precision too, as far as
:func:`nirbridge_norse.fixed.neuron.single_does` says.  ``out`` may be of another dtype than ``data``, such as bytes.
Arrays are copied value by value, as in :mod:`nirbridge_norse.fused.synapses`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nirbridge.machine_code import loop
from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge_norse.fused.kernels import Lanes, search, sweep

Array = np.ndarray[Any, Any]
HIGH = STATE_LIMIT


class Neurons(NamedTuple):
    """Parameters [P] of the neurons; decays as k of k/4096.

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


@loop
def charge(row: Array, state: Array, keep: Array, gain: Array, u: Array) -> None:
    """``u`` = clip(tz(state keep / 4096) + gain row).

    The product is taken in two parts of 24 bits, which single precision holds.  Where ``gain row`` is so large that it
    is rounded, the sum is beyond the limit.
    """
    one = state.dtype.type
    for i in range(u.shape[0]):
        high = np.trunc(state[i] * one(1 / 4096))
        low = state[i] - high * one(4096)
        kept = high * keep[i] + np.trunc(low * keep[i] * one(1 / 4096))
        u[i] = min(max(kept + gain[i] * row[i], one(-HIGH)), one(HIGH))


@loop
def fire(
    data: Array, out: Array, states: tuple[Array, Array], neurons: Neurons, lanes: Lanes, how: Array, chunks: Array
) -> None:
    """All neurons; an empty second state means no synapse.

    ``how`` says whether a spike subtracts, whether lanes are swept, and whether there are lanes.
    """
    v, current = states
    subtract, swept, spiking = how[0], how[1], how[2]
    one, widest = v.dtype.type, np.max(chunks[:, 1] - chunks[:, 0])
    charged, taken, places = np.empty(widest, v.dtype), np.empty(widest, v.dtype), np.empty(widest, np.int64)
    buffer = np.empty(widest, v.dtype)
    for c in range(chunks.shape[0]):
        first, last, offset = chunks[c, 0], chunks[c, 1], chunks[c, 2]
        size, end = last - first, chunks[c, 2] + last - first
        state, flow = v[first:last], current[first:last]
        keep, gain, after = neurons.keep[offset:end], neurons.gain[offset:end], neurons.v_reset[offset:end]
        u, amount, y = charged[:size], taken[:size], buffer[:size]
        for t in range(data.shape[0]):
            sent = out[t, first:last]
            if current.shape[0]:
                charge(data[t, first:last], flow, neurons.keep_current[offset:end], neurons.ones[offset:end], u)
                for i in range(size):
                    flow[i] = u[i]
                charge(flow, state, keep, gain, u)
            else:
                charge(data[t, first:last], state, keep, gain, u)
            if not spiking:
                for i in range(size):
                    state[i] = sent[i] = u[i]
                continue
            if swept:
                sweep(u, y, amount, lanes, chunks[c, 3])
            else:
                search(u, y, amount, lanes, neurons.group[offset:end], places[:size])
            for i in range(size):
                sent[i] = y[i]
            if subtract:
                for i in range(size):
                    state[i] = min(max(u[i] - amount[i], one(-HIGH)), one(HIGH))
            else:
                for i in range(size):
                    state[i] = after[i] if amount[i] > 0 else u[i]
