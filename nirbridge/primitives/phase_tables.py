"""What a window of a phase code needs in precision "fixed": integer tables, made once for every runtime.

A runtime only looks them up, multiplies, shifts, adds and compares.  docs/fixed_point.md gives the equations.
"""

from __future__ import annotations

from math import frexp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nirbridge.primitives.integers import whole

Integers = NDArray[np.int64]
MANTISSA_BITS = 12
"""As those of a decay."""
TOP_BITS = 20
"""Bits that thresholds and biases fill at most: three of the state's 23 stay free for sums above them."""
_MOST_SHIFT = 62
"""Products stay below 2^53, so they are 0 behind any further shift too; int64 knows none."""


class Factor(NamedTuple):
    """multiplier·2^-shift: a mantissa of 12 bits and a shift, which for large factors is part of the multiplier.

    ``x`` times it is ``tz(x · multiplier / 2^shift)``.
    """

    multiplier: int
    shift: int


class EncodeTables(NamedTuple):
    """Of a :class:`~nirbridge.primitives.PhaseEncode`.

    Attributes:
        fraction: F, bits by which the rest is finer than the input.
        values: (phases, ...) what a spike of each phase takes off the rest.
    """

    fraction: int
    values: Integers


class FireTables(NamedTuple):
    """Of a :class:`~nirbridge.primitives.PhaseIF`.

    Attributes:
        fraction: F, bits by which the state is finer than the input.
        start: state before the first phase.
        gains: of the input of each phase.
        limits: of each output phase, (spikes left, threshold with at least so many left) as in :func:`middles`.
        amounts: (phases, ...) what a spike of each phase stands for, and takes off.
    """

    fraction: int
    start: Integers
    gains: tuple[Factor, ...]
    limits: tuple[tuple[tuple[int, Integers], ...], ...]
    amounts: Integers


class DecodeTables(NamedTuple):
    """Of a :class:`~nirbridge.primitives.PhaseDecode`: what the sum starts from, and the gain of each phase's input."""

    start: Integers
    gains: tuple[Factor, ...]


def encode_tables(node: Any) -> EncodeTables:
    """values[k] = ⌈scale · base^-k · 2^F⌉."""
    scale = whole(node.scale)
    fraction = fraction_bits(scale)
    factors = (factor(node.base, -k, fraction) for k in range(1, node.phases + 1))
    return EncodeTables(fraction, np.stack([_raised(scale, found) for found in factors]))


def fire_tables(node: Any) -> FireTables:
    """gains[t] = Q_in^-(t+f-1) · 2^F, limits[k] = ⌈θ m Q_out^-(k+f-1) · 2^F⌉ and, to nearest, amounts[k] with m = 1."""
    theta, start = whole(node.v_threshold), whole(node.v_init)
    fraction = fraction_bits(theta, start)
    exponents = [-(phase + node.first_phase) for phase in range(node.phases)]

    def limit(exponent: int, middle: float) -> Integers:
        return _raised(theta, factor(node.base_out, exponent, fraction, middle))

    return FireTables(
        fraction,
        start << fraction,
        tuple(factor(node.base_in, exponent, fraction) for exponent in exponents),
        tuple(
            tuple((left, limit(exponent, middle)) for left, middle in row)
            for exponent, row in zip(exponents, middles(node), strict=True)
        ),
        np.stack([_nearest(theta, factor(node.base_out, exponent, fraction)) for exponent in exponents]),
    )


def spikes_of(node: Any) -> int:
    """The spikes that a PhaseIF can send in a window: one a phase at most."""
    return min(node.spikes, node.phases)


def middles(node: Any) -> list[tuple[tuple[int, float], ...]]:
    """Of each phase of a PhaseIF, (spikes left, m with at least so many left), from 1 on, as :func:`spikes_of` counts.

    With rounding m = min(1, (1 + Σ_{i=1..n} Q_out^-i)/2), n the spikes that can still follow: no more than are left,
    nor than phases are.  A neuron of one spike has the paper's n = 1 at every phase.
    """
    if not node.rounding:
        return [((1, 1.0),)] * node.phases
    reached, part = [1.0], 1.0
    for _ in range(spikes_of(node)):
        part /= node.base_out
        reached.append(reached[-1] + part)
    rows = []
    for behind in reversed(range(node.phases)):
        least: dict[float, int] = {}
        for left in range(1, spikes_of(node) + 1):
            following = 1 if node.spikes == 1 else min(left, behind)
            least.setdefault(min(1.0, reached[following] / 2), left)
        rows.append(tuple((left, middle) for middle, left in least.items()))
    return rows


def decode_tables(node: Any) -> DecodeTables:
    """gains[t] = base^-t: the sum has the unit of the input."""
    return DecodeTables(whole(node.v_init), tuple(factor(node.base, -t, 0) for t in range(1, node.phases + 1)))


def fraction_bits(*values: Integers) -> int:
    """F: the most bits behind the point with which no value exceeds 2^20; 0 where one does already."""
    largest = max(int(np.abs(value).max()) for value in values)
    return max(0, TOP_BITS - max(largest - 1, 0).bit_length())


def factor(base: float, exponent: int, fraction: int, middle: float = 1.0) -> Factor:
    """middle · base^exponent · 2^fraction with a mantissa of 12 bits, rounded to nearest: powers of two are exact."""
    part, power = frexp(middle * base**exponent)
    mantissa = round(part * 2**MANTISSA_BITS)
    shift = MANTISSA_BITS - power - fraction
    return Factor(mantissa << max(-shift, 0), min(max(shift, 0), _MOST_SHIFT))


def _nearest(value: Integers, by: Factor) -> Integers:
    """value · factor, halves up."""
    rounded: Integers = (value * by.multiplier + (1 << by.shift >> 1)) >> by.shift
    return rounded


def _raised(value: Integers, by: Factor) -> Integers:
    """⌈value · factor⌉: an integer reaches it where it reaches the real product."""
    raised: Integers = -((-value * by.multiplier) >> by.shift)
    return raised
