"""Real numbers as integers times a scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nirbridge.primitives.magnitudes import magnitude
from nirbridge.primitives.spec import Array

_MOST_CUT = 6
"""Bits by which a weight scale may be finer than the one at which all weights fit."""
_AT_ONCE = 2**14
"""Weights for which all scales are tried before the next ones are: what a core keeps near."""


def largest_weight(bits: int) -> int:
    """Largest magnitude of a signed weight of ``bits`` bits; with 1 bit a weight is only a sign, or absent."""
    return max(2 ** (bits - 1) - 1, 1)


def weight_exponent(weight: Array, bits: int) -> int:
    """e of the weight scale 2^-e with the least sum of squared errors.

    It is the finest at which all weights fit, or a finer one that cuts the few largest: with 3 bits the largest of a
    thousand normal weights is 3.3 standard deviations, and a scale that holds it rounds most of the others to 0.
    """
    finest, weights = finest_exponent(weight, bits), np.reshape(weight, (-1, 1))
    tried = range(finest, finest + _MOST_CUT + 1)
    errors = np.zeros(len(tried))
    for part in parts_of(weights):
        errors += [_squared_error(weights[part], exponent, bits) for exponent in tried]
    return tried[int(errors.argmin())]


def parts_of(rows: Array) -> Iterator[slice]:
    """Rows [rows, columns] that are looked at together."""
    count = max(1, _AT_ONCE // max(1, rows.shape[1]))
    return (slice(first, first + count) for first in range(0, len(rows), count))


def finest_exponent(weight: Array, bits: int) -> int:
    """e of the finest scale 2^-e at which all weights fit; 0 where there is none but 0."""
    largest = magnitude(weight)
    if not largest:
        return 0
    limit = largest_weight(bits)
    exponent = int(np.floor(np.log2(limit + 0.5) - np.log2(largest)))
    return exponent if np.rint(np.ldexp(largest, exponent)) <= limit else exponent - 1


def _squared_error(weight: Array, exponent: int, bits: int) -> float:
    integers, _ = rounded_weight(weight, exponent, bits)
    return float(np.square(np.ldexp(integers.astype(np.float64), -exponent) - weight).sum())


def rounded_weight(weight: Array, exponent: int, bits: int) -> tuple[Array, int]:
    """(integers, how many of them were cut to the limit) of a weight at scale 2^-exponent."""
    scaled = np.ldexp(np.asarray(weight, dtype=np.float64), exponent)
    return integers_of(scaled, bits).astype(np.int8), count_cut(scaled, bits)


def integers_of(scaled: Array, bits: int) -> Array:
    """The nearest whole numbers within the range of ``bits`` bits; of one bit the signs."""
    limit = largest_weight(bits)
    return np.sign(scaled) if bits == 1 else np.clip(np.rint(scaled), -limit, limit)


def count_cut(scaled: Array, bits: int) -> int:
    """How many numbers lie beyond the range of ``bits`` bits."""
    return int((np.abs(scaled) >= largest_weight(bits) + 0.5).sum())


def is_power_of_two(scale: Array) -> bool:
    """Whether every entry is 2^k with k whole."""
    return bool((np.frexp(np.asarray(scale, dtype=np.float64))[0] == 0.5).all())


def is_whole(value: Array) -> bool:
    """Whether every entry is a whole number up to rounding of a division."""
    return bool(_near(value).all())


def rounded(value: Any, scale: Array, how: Any = np.rint) -> Array:
    """``value``/``scale`` as integers; quotients that are whole up to rounding of the division count as whole."""
    quotient = np.asarray(value, dtype=np.float64) / scale
    return np.where(_near(quotient), np.rint(quotient), how(quotient)).astype(np.int64)


def _near(quotient: Array) -> Array:
    whole = np.rint(quotient)
    near: Array = np.abs(quotient - whole) <= 1e-9 * np.maximum(np.abs(whole), 1)
    return near
