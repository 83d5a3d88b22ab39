"""A runtime of a few node types: what a plugin for nirbridge needs, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import nir
import numpy as np

from nirbridge.errors import Problem
from nirbridge.runtime import Availability, Plan, Program
from nirbridge_tiny.lowering import LOWERING


class TinyRuntime:
    """Feed-forward graphs of linear and integrate-and-fire nodes."""

    name = "tiny"
    summary = "the example of docs/runtimes.md"
    precisions: tuple[str, ...] = ("float",)
    options: frozenset[str] = frozenset()
    supported: frozenset[type[nir.NIRNode]] = LOWERING.kinds

    def availability(self) -> Availability:
        """numpy is all that it needs."""
        return Availability(np.__version__)

    def check(self, plan: Plan) -> Iterable[Problem]:
        """It has no cycles."""
        return [
            Problem(str(planned), "stands in a cycle, which runtime 'tiny' has not", "Use --runtime reference")
            for planned in plan.nodes
            if planned.loop is not None
        ]

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        """The program."""
        from nirbridge_tiny.program import TinyProgram

        return TinyProgram(plan)


RUNTIME = TinyRuntime()
