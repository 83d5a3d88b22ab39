"""Every node of precision "fixed" on vectors of int64: docs/fixed_point.md is what they follow.

States have 24 bits and clip, decays are multiples of 1/4096, sums of synapses are exact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nirbridge.checking.fixed_point import STATE_LIMIT
from nirbridge_lava import kernels
from nirbridge_lava.dynamics import Fire, Integrate, Lanes, Step, fired, lanes_fired
from nirbridge_lava.kernels import Convolve, Product

Array = NDArray[Any]

DECAY_BITS = 12


class Leak(NamedTuple):
    """v = clip(tz(v kept) + x), with kept = 4096 - δ; ``fire`` is None for an integrator that sends its membrane."""

    kept: Array
    fire: Fire | None


class Current(NamedTuple):
    """i = clip(tz(i kept) + x) before the membrane ``leak`` takes i for its input."""

    kept: Array
    leak: Leak


class Shifted(NamedTuple):
    """A synapse whose messages are powers of two: 2^e with e among ``exponents``, or 0."""

    synapse: Product | Convolve
    exponents: tuple[int, ...]


def clip(state: Array) -> Array:
    """A state stays within ±(2^23 - 1)."""
    return np.clip(state, -STATE_LIMIT, STATE_LIMIT)


def tz(state: Array, kept: Array) -> Array:
    """state·kept/4096 rounded toward zero."""
    return toward_zero(state * kept, DECAY_BITS)


def toward_zero(value: Array, bits: int) -> Array:
    """value/2^bits rounded toward zero, by shifts alone: a right shift rounds down, so negative values go up first."""
    return (value + ((value >> 63) & ((1 << bits) - 1))) >> bits


def lanes_step(p: Lanes, x: Array, state: Array) -> Step:
    """u = clip(tz(v k) + gain x), ``decay`` being k; lanes, reset and output as in floating point."""
    y, v = lanes_fired(p, clip(tz(state[0], p.decay) + (x if p.gain is None else p.gain * x)))
    return y, clip(v)


def integrate_step(p: Integrate, x: Array, state: Array) -> Step:
    """v = clip(v + r x); a spike as in :func:`fired`; what is left clips."""
    y, v = fired(p.fire, clip(state[0] + p.r * x))
    return y, clip(v)[None]


def leak_step(p: Leak, x: Array, state: Array) -> Step:
    """v = clip(tz(v k) + x); a spike as in :func:`fired`; what is left clips."""
    y, v = fired(p.fire, clip(tz(state[0], p.kept) + x))
    return y, clip(v)[None]


def current_step(p: Current, x: Array, state: Array) -> Step:
    """i = clip(tz(i k_syn) + x), then the membrane as in :func:`leak_step` with input i."""
    i = clip(tz(state[0], p.kept) + x)
    y, v = fired(p.leak.fire, clip(tz(state[1], p.leak.kept) + i))
    return y, np.stack([i, clip(v)])


def product(p: Product, x: Array) -> Array:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i].

    The core has made sure that every sum stays below 2^53, where double precision is exact in whatever order: so the
    fast product of matrices may do it.
    """
    exact = x.astype(np.float64)
    if p.weight.ndim == 2 and len(p.shape) == 1:
        return (exact.reshape(-1, x.shape[-1]) @ p.weight.T).reshape(*x.shape[:-1], -1).astype(np.int64)
    return kernels.product(p, exact).astype(np.int64)


def aggregate(p: Product, x: Array) -> Array:
    """y[n, ...] = Σ_m weight[n, m] x[m, ...]."""
    return kernels.aggregate(p, x.astype(np.float64)).astype(np.int64)


def convolve(p: Convolve, x: Array) -> Array:
    """As :func:`nirbridge_lava.kernels.convolve`, exact like :func:`product`."""
    return kernels.convolve(p, x.astype(np.float64)).astype(np.int64)


def shifted_product(p: Shifted, x: Array) -> Array:
    """Σ_e (W [x = 2^e]) << e: sums of weights and shifts, no multiplication by a message."""
    return _shifted(product, p, x)


def shifted_convolve(p: Shifted, x: Array) -> Array:
    """As :func:`shifted_product`, for a convolution."""
    return _shifted(convolve, p, x)


def shifted_aggregate(p: Shifted, x: Array) -> Array:
    """As :func:`shifted_product`, over the first axis."""
    return _shifted(aggregate, p, x)


def _shifted(synapse: Any, p: Shifted, x: Array) -> Array:
    first, *others = p.exponents
    y: Array = synapse(p.synapse, (x >> first) & 1) << first
    for exponent in others:
        lane = (x >> exponent) & 1
        if lane.any():
            y += synapse(p.synapse, lane) << exponent
    return y
