"""What one operation and one memory access cost, in pJ, on a 45 nm chip."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Energy of arithmetic, in pJ.

    Attributes:
        mac: one multiplication and the addition of its product.
        add: one addition.
    """

    mac: float
    add: float


SYNAPTIC = {32: Costs(mac=4.6, add=0.9), 8: Costs(mac=0.23, add=0.03)}
"""By bits of a number: floating point at 32, integer at 8.  Source: Abillama et al. 2025, Hwang and Kung 2024."""

INTEGER = {32: Costs(mac=3.2, add=0.1), 8: Costs(mac=0.23, add=0.03)}
"""By bits: integers, E_MAC = E_mul + E_add with E_mul 3.1 and 0.2 pJ.

Source: Lemaire et al., ICONIP 2022, after Horowitz, ISSCC 2014.
"""

BITS = (32, 8)
"""Widths for which there are costs."""


def ram_access(words: float, bits: int) -> float:
    r"""Energy of reading or writing one word of an SRAM, in pJ.

    .. math:: E_{RAM}(n, bits) = 1.09 \cdot 10^{-5} \, n \, bits + 13.2

    Args:
        words: n, words in the memory; 0 for a queue of events.
        bits: width of a word.

    Source: Lemaire et al., ICONIP 2022.
    """
    return 1.09e-5 * words * bits + 13.2
