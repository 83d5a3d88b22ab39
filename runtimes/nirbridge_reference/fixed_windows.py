"""Every node that works on windows in precision "fixed", as functions of one int64 [W, B, *shape] window.

The tables come from :mod:`nirbridge.primitives.phase_tables`, docs/fixed_point.md has the equations.
"""

from __future__ import annotations

import numpy as np

from nirbridge.ir import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.primitives.integers import clip, toward_zero
from nirbridge.primitives.phase_tables import Factor, decode_tables, encode_tables, fire_tables
from nirbridge.runtime import Array


def phase_encode(node: PhaseEncode, x: Array) -> Array:
    """r = clip(x·2^F); at phase k a spike where r >= B[k], then r = r - B[k]."""
    fraction, values = encode_tables(node)
    rest = clip(x[0] * 2**fraction)
    spikes = []
    for value in values:
        fires = rest >= value
        rest = np.where(fires, rest - value, rest)
        spikes.append(fires.astype(np.int64))
    return np.stack(spikes)


def phase_integrate_and_fire(node: PhaseIF, x: Array) -> tuple[Array, Array]:
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])); phase k fires once, where v(min(wait + k, T)) >= Θ[k]."""
    tables = fire_tables(node)
    v = _sums(tables.start, tables.gains, x)
    spikes = np.zeros_like(x)
    silent = np.ones(x.shape[1:], dtype=bool)
    for k in range(1, node.phases + 1):
        fires = silent & (v[min(node.wait + k, node.phases) - 1] >= tables.limits[k - 1])
        silent &= ~fires
        spikes[k - 1] = fires
    return spikes, v


def phase_decode(node: PhaseDecode, x: Array) -> tuple[Array, Array]:
    """y(t) = clip(y(t-1) + tz(x(t)·G[t])), which is the membrane too."""
    y = _sums(*decode_tables(node), x)
    return y, y


def _sums(start: Array, gains: tuple[Factor, ...], x: Array) -> Array:
    """The state after each phase."""
    v = np.broadcast_to(start, x.shape[1:])
    states = []
    for gain, frame in zip(gains, x, strict=True):
        v = clip(v + toward_zero(frame * gain.multiplier, 2**gain.shift))
        states.append(v)
    return np.stack(states)
