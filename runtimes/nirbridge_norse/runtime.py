"""The runtime object that the entry point names; torch and Norse are loaded by ``compile`` alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import nir

from nirbridge.errors import Problem
from nirbridge.runtime import RESETS, Availability, Plan, Program, require_option
from nirbridge_norse.lowering import LOWERING

_NEEDED = {"torch": "'torch>=2.8'", "norse": "'norse>=1.1'"}


class NorseRuntime:
    """torch in float32 or float64, on CPU or CUDA; runs every primitive.

    Options of ``nirbridge.compile``:

    - ``device``: "cpu" (the default), "cuda", "cuda:1".
    - ``dtype``: "float32" or "float64"; by default "float32" where its range does for the graph: for each parameter,
      and for all products and sums with data up to 2^24.  Precision "fixed" holds its integers in whatever is exact.
    - ``exact``: False on CUDA leaves convolutions to cuDNN, which is faster and may round where a plain sum of products
      would not; elsewhere, and in precision "fixed", it changes nothing.
    - ``sparse``: True says that nearly all that convolutions read is 0.  They then go through what is not, also where
      they are large; it pays where few inputs are not 0, and changes the order of sums.
    """

    name = "norse"
    summary = "torch on CPU or CUDA, neurons in Norse's conventions; the fast one"
    precisions: tuple[str, ...] = ("float", "fixed")
    resets: tuple[str, ...] = RESETS
    options: frozenset[str] = frozenset({"device", "dtype", "exact", "sparse"})

    @property
    def supported(self) -> frozenset[type[nir.NIRNode]]:
        """The node types in the lowering table."""
        return LOWERING.kinds

    def availability(self) -> Availability:
        """Usable where torch and Norse are installed; neither is loaded to find out."""
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            return Availability(
                "",
                f"{' and '.join(missing)} {verb} not installed",
                f"Run: pip install {' '.join(_NEEDED[name] for name in missing)}",
            )
        return Availability(_norse_version())

    def check(self, plan: Plan) -> Iterable[Problem]:
        """No limits beyond the graph's own."""
        return ()

    def compile(self, plan: Plan, precision: str, options: Mapping[str, Any]) -> Program:
        """The program for a plan.

        Raises:
            InputError: the value of an option is unknown, or no such CUDA device is there; or ``dtype`` is "float32"
                and its range does not do.
        """
        from nirbridge_norse.program import NorseProgram
        from nirbridge_norse.ranges import NarrowError
        from nirbridge_norse.setting import make_setting

        if precision == "fixed":
            from nirbridge_norse.fixed.program import FixedProgram

            require_option("dtype", options.get("dtype", "float64"), ("float64",))
            return FixedProgram(plan, replace(make_setting(plan.dt, **{**options, "dtype": "float64"}), exact=True))
        if "dtype" in options:
            return NorseProgram(plan, make_setting(plan.dt, **options), LOWERING)
        try:
            return NorseProgram(plan, make_setting(plan.dt, **options), LOWERING, careful=True)
        except NarrowError:
            return NorseProgram(plan, make_setting(plan.dt, **options, dtype="float64"), LOWERING)


@cache
def _norse_version() -> str:
    try:
        return version("norse")
    except PackageNotFoundError:
        return "unknown"


RUNTIME = NorseRuntime()
"""The runtime ``norse``."""
