"""Every node that works on windows of steps, as pure functions of one [W, B, *shape] float64 window.

Those that mean the same in integers take int64 too.
"""

from __future__ import annotations

import numpy as np

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF, TemporalMix
from nirbridge.primitives import FirstSpikePool2d
from nirbridge.runtime import Array
from nirbridge_reference.linear import windows


def temporal_mix(node: TemporalMix, x: Array) -> Array:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    weight = node.weight.astype(x.dtype)
    y = np.zeros((len(weight), *x.shape[1:]), x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j].reshape(-1, *(1,) * frame.ndim) * frame
    return y


def phase_encode(node: PhaseEncode, x: Array) -> Array:
    """s(k) = 1 where the rest r >= base^-k, which is then taken off r; r starts at x / scale."""
    rest = x[0] / node.scale
    spikes = []
    for k in range(1, node.phases + 1):
        value = node.base**-k
        fires = rest >= value
        rest = np.where(fires, rest - value, rest)
        spikes.append(fires.astype(np.float64))
    return np.stack(spikes)


def phase_decode(node: PhaseDecode, x: Array) -> tuple[Array, Array]:
    """y(t) = v_init + Σ_{k <= t} base^-k x(k), which is the membrane too."""
    total = np.broadcast_to(np.asarray(node.v_init, dtype=np.float64), x.shape[1:])
    sums = []
    for k, frame in enumerate(x, start=1):
        total = total + node.base**-k * frame
        sums.append(total)
    y = np.stack(sums)
    return y, y


def phase_integrate_and_fire(node: PhaseIF, x: Array) -> tuple[Array, Array]:
    """V(t) = Q_in V(t-1) + x(t); phase k fires once, where V(wait + k) reaches the threshold of that phase.

    The membrane is the decoded sum, V(t) Q_in^-(t+first-1).
    """
    first = node.first_phase - 1
    middle = (1 + 1 / node.base_out) / 2 if node.rounding else 1.0
    v = np.broadcast_to(node.v_init * node.base_in**first, x.shape[1:])
    spikes = np.zeros_like(x)
    decoded = np.zeros_like(x)
    silent = np.ones(x.shape[1:], dtype=bool)
    for t in range(1, node.phases + node.wait + 1):
        v = node.base_in * v + (x[t - 1] if t <= node.phases else 0.0)
        if t <= node.phases:
            decoded[t - 1] = v * node.base_in ** -(t + first)
        k = t - node.wait
        if k < 1:
            continue
        limit = node.v_threshold * middle * node.base_in ** (t + first) * node.base_out ** -(k + first)
        fires = silent & (v >= limit)
        silent &= ~fires
        spikes[k - 1] = fires
    return spikes, decoded


def first_spike_pool(node: FirstSpikePool2d, x: Array) -> Array:
    """1 at the first step at which any input of the spatial window spikes, 0 after it."""
    steps, batch = x.shape[:2]
    any_spike = windows(node, x.reshape(steps * batch, *x.shape[2:]), 0.0).any(axis=(-2, -1))
    any_spike = any_spike.reshape(steps, batch, *any_spike.shape[1:])
    before = np.cumsum(any_spike, axis=0) - any_spike
    return (any_spike & (before == 0)).astype(x.dtype)
