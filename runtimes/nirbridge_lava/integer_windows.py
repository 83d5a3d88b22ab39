"""Phase codes of precision "fixed" on (W, samples, n) windows of int64: products with short numbers, shifts, sums.

The tables come from :mod:`nirbridge.primitives.phase_tables`, docs/fixed_point.md has the equations.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nirbridge.primitives.integers import clip
from nirbridge.primitives.phase_tables import Factor
from nirbridge.runtime import Array
from nirbridge_lava.integers import toward_zero


class Encode(NamedTuple):
    """Bits by which the rest is finer than the input, and what a spike of each phase takes off it."""

    fraction: int
    values: tuple[Array, ...]


class Sum(NamedTuple):
    """What the sum starts from, and the gain of each phase's input."""

    start: Array
    gains: tuple[Factor, ...]


class Fire(NamedTuple):
    """A single-spike phase neuron: its sum, steps before the first output phase, threshold of each output phase."""

    sum: Sum
    wait: int
    limits: tuple[Array, ...]


def phase_encode(p: Encode, x: Array) -> Array:
    """r = clip(x·2^F); at phase k a spike where r >= B[k], then r = r - B[k]."""
    rest = clip(x[0] << p.fraction)
    spikes = np.empty((len(p.values), *x.shape[1:]), dtype=np.int64)
    for out, value in zip(spikes, p.values, strict=True):
        np.greater_equal(rest, value, out=out, casting="unsafe")
        rest = rest - out * value
    return spikes


def phase_fire(p: Fire, x: Array) -> tuple[Array, Array]:
    """v(t) = clip(v(t-1) + tz(x(t)·G[t])); phase k fires once, where v(min(wait + k, T)) >= Θ[k]."""
    v = _sums(p.sum, x)
    spikes, silent = np.zeros(x.shape, dtype=np.int64), np.ones(x.shape[1:], dtype=bool)
    for k, (out, limit) in enumerate(zip(spikes, p.limits, strict=True)):
        fires = silent & (v[min(p.wait + k, len(v) - 1)] >= limit)
        silent &= ~fires
        out[:] = fires
    return spikes, v


def phase_decode(p: Sum, x: Array) -> tuple[Array, Array]:
    """y(t) = clip(y(t-1) + tz(x(t)·G[t])), which is the membrane too."""
    y = _sums(p, x)
    return y, y


def _sums(p: Sum, x: Array) -> Array:
    """The state after each phase."""
    states, v = np.empty(x.shape, dtype=np.int64), p.start
    for out, gain, frame in zip(states, p.gains, x, strict=True):
        v = clip(v + toward_zero(frame * gain.multiplier, gain.shift))
        out[:] = v
    return states
