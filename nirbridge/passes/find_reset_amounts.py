"""Reset "subtract": a spike takes an amount off the membrane, instead of setting it to v_reset."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import FlatGraph, spec_of


def find_reset_amounts(flat: FlatGraph) -> dict[str, NDArray[Any]]:
    """What a spike takes off the membrane of each IF, LIF and CubaLIF: v_threshold - v_reset.

    With the usual v_reset of 0 it is the threshold, and a membrane just at the threshold comes to v_reset in either
    kind of reset.  The nodes stay what they are: their membranes keep the units and the origin of the file, and until
    the first spike they are the same in both kinds, bit for bit.

    Source: the usual soft reset, as in snnTorch ("subtract") and sinabs (MembraneSubtract).
    """
    return {
        name: _wide(node.v_threshold) - _wide(node.v_reset) for name, node in flat.nodes.items() if spec_of(node).resets
    }


def _wide(value: Any) -> NDArray[Any]:
    """Integers stay integers, but wide enough for a difference."""
    array = np.asarray(value)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
