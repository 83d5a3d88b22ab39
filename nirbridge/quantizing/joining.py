"""Edges that add up are brought to one scale by whole factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nirbridge.primitives.spec import Array
from nirbridge.primitives.units import collapsed
from nirbridge.quantizing.refusals import excess_by_place
from nirbridge.quantizing.scales import finest_exponent, is_power_of_two

WIDEST = 15
"""Bits by which one summand may be finer than another before its synapse is made coarser instead."""


@dataclass(frozen=True)
class Join:
    """How values add up.

    Attributes:
        scale: what the integer 1 stands for in the sum.
        factors: the whole number that multiplies each summand.
        error: largest relative error of a factor, where two units have no common power of two.
        too_fine: (index of a summand that is too fine beside the others, bits that it has too many, by place), or None.
    """

    scale: Array
    factors: tuple[Array, ...]
    error: float = 0.0
    too_fine: tuple[int, Array] | None = None


def join(scales: list[Array], weight_bits: int) -> Join:
    """The finest of the scales, and the powers of two that lead to it.

    A scale that is no power of two beside others is approximated by ``m·2^-e`` with m of ``weight_bits`` bits.
    """
    first = scales[0]
    if all(_ratios(scale, first) == 1 for scale in scales):
        return Join(first, (np.ones((), np.int64),) * len(scales))
    error = 0.0
    units, multipliers = [], []
    related = all(_related(scale, first) for scale in scales)
    for scale in scales:
        unit, multiplier = scale, np.ones(())
        if not related and not is_power_of_two(scale):
            unit = _power_below(scale, max(weight_bits, 2))
            multiplier = np.rint(scale / unit)
            error = max(error, float(np.abs(multiplier * unit / scale - 1).max()))
        units.append(unit)
        multipliers.append(multiplier)
    finest = units[0]
    for unit in units[1:]:
        finest = np.minimum(finest, unit)
    shifts = [np.asarray(unit / finest) for unit in units]
    coarsest = np.maximum.reduce(np.broadcast_arrays(*units))
    widest = np.unravel_index(int((coarsest / finest).argmax()), coarsest.shape)
    index = int(np.argmin([np.broadcast_to(unit, coarsest.shape)[widest] for unit in units]))
    excess = excess_by_place([coarsest / units[index]], 2**WIDEST)
    factors = tuple(np.rint(m * s).astype(np.int64) for m, s in zip(multipliers, shifts, strict=True))
    return Join(collapsed(finest), factors, error, (index, excess) if excess.any() else None)


def _power_below(scale: Array, bits: int) -> Array:
    """For each scale the finest power of two of which it is a multiple of ``bits`` bits, up to rounding."""
    powers = [2.0 ** -finest_exponent(value, bits) for value in scale.ravel()]
    return np.asarray(powers).reshape(scale.shape)


def _ratios(a: Array, b: Array) -> float:
    """The one ratio of two scales, NaN where there are several."""
    ratio = collapsed(np.asarray(a / b))
    return float(ratio) if ratio.ndim == 0 else float("nan")


def _related(a: Array, b: Array) -> bool:
    return is_power_of_two(np.asarray(a / b))
