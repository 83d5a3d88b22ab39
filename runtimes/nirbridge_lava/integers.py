"""Every node of precision "fixed" on vectors of int64: docs/fixed_point.md is what they follow.

States have 24 bits and clip, decays are multiples of 1/4096, sums of synapses are exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nirbridge.primitives.integers import DECAY_BITS, clip, toward_zero
from nirbridge.runtime import Array
from nirbridge_lava import kernels
from nirbridge_lava.dynamics import Lanes, Step, lanes_fired
from nirbridge_lava.kernels import Convolve, Product


class Neuron(NamedTuple):
    """The one normal form of all neurons, :class:`~nirbridge.primitives.integers.IntegerForm`, in flat vectors.

    Attributes:
        kept: k of the membrane, of 4096.
        gain: factor on the input; None for 1.
        kept_current: k of the synapse; None without one.
        lanes: None for a neuron that sends its membrane.
    """

    kept: Array
    gain: Array | None
    kept_current: Array | None
    lanes: Lanes | None


class Shifted(NamedTuple):
    """A synapse whose messages are powers of two: 2^e with e among ``exponents``, or 0."""

    synapse: Product | Convolve
    exponents: tuple[int, ...]


def tz(state: Array, kept: Array) -> Array:
    """state·kept/4096 rounded toward zero."""
    return toward_zero(state * kept, DECAY_BITS)


def neuron_step(p: Neuron, x: Array, state: Array) -> Step:
    """i = clip(tz(i k_i) + x) where there is a synapse, u = clip(tz(v k) + gain i), then lanes; what is left clips."""
    if p.kept_current is None:
        (v,) = state
    else:
        i, v = state
        x = i = clip(tz(i, p.kept_current) + x)
    u = clip(tz(v, p.kept) + (x if p.gain is None else p.gain * x))
    y, after = (u, u[None]) if p.lanes is None else lanes_fired(p.lanes, u)
    after = clip(after)
    return y, after if p.kept_current is None else np.concatenate([i[None], after])


def product(p: Product, x: Array) -> Array:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i].

    The core has made sure that every sum stays below 2^53, where double precision is exact in whatever order: so the
    fast product of matrices may do it.
    """
    exact = x.astype(np.float64)
    if p.weight.ndim == 2 and len(p.shape) == 1:
        return (exact.reshape(-1, x.shape[-1]) @ p.weight.T).reshape(*x.shape[:-1], -1).astype(np.int64)
    return kernels.product(p, exact).astype(np.int64)


def exactly(function: Callable[[Any, Array], Array]) -> Callable[[Any, Array], Array]:
    """A synapse in double precision, of integers; exact like :func:`product`."""
    return lambda p, x: function(p, x.astype(np.float64)).astype(np.int64)


def shifted(synapse: Any, p: Shifted, x: Array) -> Array:
    """Σ_e (W [x = 2^e]) << e: sums of weights and shifts, no multiplication by a message."""
    first, *others = p.exponents
    y: Array = synapse(p.synapse, (x >> first) & 1) << first
    for exponent in others:
        lane = (x >> exponent) & 1
        if lane.any():
            y += synapse(p.synapse, lane) << exponent
    return y
