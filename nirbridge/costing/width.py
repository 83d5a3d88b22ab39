"""The width of the numbers that a graph calculates with."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.costing.roles import MIXING, SYNAPSES, role_of
from nirbridge.ir import SparseMatrix
from nirbridge.passes.find_integers import stores_integers
from nirbridge.runtime import Plan
from nirbridge.runtime.precision import meant_in_integers

_LEAST, _MOST = -128, 127
"""Signed integers of 8 bits."""


def width_of(plan: Plan) -> int:
    """8 where all weights are integers of 8 bits and the graph is meant in integers, as a quantised one; else 32."""
    weights = [_values(planned.node.weight) for planned in plan.nodes if role_of(planned) in (SYNAPSES, MIXING)]
    in_integers = meant_in_integers(plan) or stores_integers(planned.node for planned in plan.nodes)
    return 8 if in_integers and all(map(_fits, weights)) else 32


def _values(weight: Any) -> Any:
    return np.asarray(weight.value if isinstance(weight, SparseMatrix) else weight)


def _fits(weight: Any) -> bool:
    return bool(((weight == np.rint(weight)) & (weight >= _LEAST) & (weight <= _MOST)).all())
