"""The runtime object that the entry point names."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any

import nir

from nirbridge.errors import InputError, Problem
from nirbridge.runtime import RESETS, Availability, Plan, Program, require_option
from nirbridge_lava.lowering import LOWERING

MAPPINGS = ("processes", "fused")


class LavaRuntime:
    """Lava's CPU simulator; every node, or the whole graph, a Lava Process and a process of the operating system.

    Options:
        timeout: seconds that one call of run, advance or step may take; None, the default, sets no limit.  A network
            in which nothing moves for a minute is given up in any case.
        mapping: "processes" makes one Lava Process of each node, as on the chip, and hides the step that each synapse
            costs; "fused" puts the whole graph in one Lava Process, bit for bit the same and many times faster.  None,
            the default, is "fused" for a program whose first data come by ``step``, else "processes".
    """

    name = "lava"
    summary = "Lava's CPU simulator of Loihi: a Lava Process per node, or one for all to stream (Python 3.10 only)"
    precisions: tuple[str, ...] = ("float", "fixed")
    resets: tuple[str, ...] = RESETS
    options: frozenset[str] = frozenset({"timeout", "mapping"})
    streaming_options: Mapping[str, Any] = MappingProxyType({"mapping": "fused"})
    """What a program that is stepped frame by frame should be compiled with."""

    @property
    def supported(self) -> frozenset[type[nir.NIRNode]]:
        """The node types in the lowering table."""
        return LOWERING.kinds

    def availability(self) -> Availability:
        """Whether lava-nc is installed on a Python that it runs on; nothing is loaded."""
        try:
            found = version("lava-nc")
        except PackageNotFoundError:
            found = ""
        if sys.version_info >= (3, 11):
            running = f"Python {sys.version_info.major}.{sys.version_info.minor}"
            return Availability(found, f"lava-nc needs Python 3.10, this is {running}", "Install Python 3.10")
        if not found:
            return Availability("", "lava-nc is not installed", "Run: pip install 'lava-nc>=0.10' 'threadpoolctl>=3.1'")
        return Availability(found)

    def check(self, plan: Plan) -> Iterable[Problem]:
        """No limits beyond the graph's own."""
        return ()

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        """The program; its processes start with the first data.

        Raises:
            InputError: an option has a value that it cannot have.
        """
        from nirbridge_lava.program import LavaProgram

        mapping = options.get("mapping")
        if mapping is not None:
            require_option("mapping", mapping, MAPPINGS)
        return LavaProgram(plan, precision, mapping, _seconds(options.get("timeout")))


def _seconds(timeout: Any) -> float | None:
    if timeout is None:
        return None
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if not number or not math.isfinite(timeout) or timeout <= 0:
        raise InputError("option 'timeout'", f"{timeout!r} is not a positive number of seconds", "Give 30, or None")
    return float(timeout)


RUNTIME = LavaRuntime()
"""The runtime ``lava``."""
