"""Every node that takes whole windows of steps, as pure functions of one (W, samples, n) window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from nirbridge.runtime import Array
from nirbridge_lava.kernels import Pool, pool


class Encode(NamedTuple):
    """The value of each phase, and the value that 1.0 stands for."""

    values: tuple[float, ...]
    scale: Array


class Decode(NamedTuple):
    """The value of each phase, and what the sum starts from."""

    values: tuple[float, ...]
    start: Array


class Fire(NamedTuple):
    """A single-spike phase neuron.

    Attributes:
        base: Q_in, the factor on the membrane per step.
        start: membrane before the first phase.
        values: by which the membrane after each input phase becomes the decoded sum.
        wait: steps before the first output phase.
        limits: threshold of each output phase, at the step at which that phase is decided.
    """

    base: float
    start: Array
    values: tuple[float, ...]
    wait: int
    limits: tuple[Array, ...]


def temporal_mix(weight: Array, x: Array) -> Array:
    """y[t] = Σ_j weight[t, j] x[j], summed in the order of j."""
    y = np.zeros((len(weight), *x.shape[1:]), dtype=x.dtype)
    for j, frame in enumerate(x):
        y += weight[:, j, None, None] * frame
    return y


def phase_encode(p: Encode, x: Array) -> Array:
    """s(k) = 1 where the rest r >= base^-k, which is then taken off r; r starts at x / scale."""
    rest = x[0] / p.scale
    spikes = np.empty((len(p.values), *x.shape[1:]))
    for out, value in zip(spikes, p.values, strict=True):
        fires = rest >= value
        rest = np.where(fires, rest - value, rest)
        out[:] = fires
    return spikes


def phase_decode(p: Decode, x: Array) -> tuple[Array, Array]:
    """y(t) = v_init + Σ_{k <= t} base^-k x(k), which is the membrane too."""
    sums, total = np.empty(x.shape), p.start
    for out, value, frame in zip(sums, p.values, x, strict=True):
        total = total + value * frame
        out[:] = total
    return sums, sums


def phase_fire(p: Fire, x: Array) -> tuple[Array, Array]:
    """V(t) = Q_in V(t-1) + x(t), x = 0 behind the last phase; phase k fires once, where V(wait + k) >= limit(k).

    The membrane is the decoded sum, V(t) Q_in^-(t+first-1).
    """
    v = np.broadcast_to(p.start, x.shape[1:])
    spikes, silent, decoded = np.zeros(x.shape), np.ones(x.shape[1:], dtype=bool), np.empty(x.shape)
    for t in range(len(x) + p.wait):
        v = p.base * v + (x[t] if t < len(x) else 0.0)
        if t < len(x):
            decoded[t] = v * p.values[t]
        if t >= p.wait:
            fires = silent & (v >= p.limits[t - p.wait])
            silent &= ~fires
            spikes[t - p.wait] = fires
    return spikes, decoded


def first_spike_pool(p: Pool, x: Array) -> Array:
    """1 at the first step at which any input of the spatial window spikes, 0 after it."""
    spiked = np.maximum.accumulate(pool(p, x), axis=0)
    first = spiked.copy()
    first[1:] &= ~spiked[:-1]
    return first.astype(x.dtype)
