"""How quantising says no."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.ir import label
from nirbridge.primitives.spec import Array


class RefusedError(Exception):
    """One node cannot be said in integers; the driver collects the reasons of all nodes."""

    def __init__(
        self, name: str, node: nir.NIRNode, found: str, next_step: str = "Run it in precision 'float'"
    ) -> None:
        super().__init__(found)
        self.name = name
        self.problem = Problem(label(name, node), found, next_step, rule="node_can_be_quantised")


class UnitsError(RefusedError):
    """One node needs one unit of all that enters: layers before it cannot have a step for each channel."""


class TooFineError(Exception):
    """Integers of a node become too large: the synapses before it must be coarser by ``bits``.

    Bits are one number, or an array that broadcasts to what enters the node: some channels may have too many.
    """

    def __init__(self, name: str, bits: int | Array, found: str) -> None:
        super().__init__(found)
        self.name = name
        self.bits = bits
        self.found = found


def excess_by_place(values: Sequence[Array], limit: float) -> Array:
    """Bits by which the largest magnitude at each place goes beyond a limit, 0 where none does."""
    largest = np.maximum.reduce(np.broadcast_arrays(*(np.abs(value) for value in values)))
    sizes = np.nan_to_num(largest, nan=sys.float_info.max, posinf=sys.float_info.max)
    return np.asarray(np.ceil(np.log2(np.maximum(sizes, limit) / limit)))
