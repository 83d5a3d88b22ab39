"""The runtime object that the entry point names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.runtime import RESETS, Availability, Plan, Program
from nirbridge_reference.fixed_lowering import FIXED_LOWERING
from nirbridge_reference.lowering import LOWERING
from nirbridge_reference.program import ReferenceProgram


class ReferenceRuntime:
    """numpy in float64, or in int64 with precision "fixed"; runs every primitive."""

    name = "reference"
    summary = "numpy, double precision, slow; it defines the meaning of every node"
    precisions: tuple[str, ...] = ("float", "fixed")
    resets: tuple[str, ...] = RESETS
    options: frozenset[str] = frozenset()

    @property
    def supported(self) -> frozenset[type[nir.NIRNode]]:
        """The node types in the lowering table."""
        return LOWERING.kinds

    def availability(self) -> Availability:
        """Always usable: numpy is a core dependency."""
        return Availability(np.__version__)

    def check(self, plan: Plan) -> Iterable[Problem]:
        """No limits beyond the graph's own."""
        return ()

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        """The program; nothing is prepared ahead."""
        if precision == "fixed":
            return ReferenceProgram(plan, FIXED_LOWERING, np.int64)
        return ReferenceProgram(plan, LOWERING, np.float64)


RUNTIME = ReferenceRuntime()
"""The runtime ``reference``."""
