"""graph → program."""

from __future__ import annotations

import math
from typing import Any

import nir

from nirbridge.checking import find_problems
from nirbridge.errors import GraphError, InputError, UnsupportedError
from nirbridge.runtime.discovery import usable_runtime
from nirbridge.runtime.plan import make_plan
from nirbridge.runtime.program import Program
from nirbridge.runtime.protocol import Runtime
from nirbridge.runtime.support import support_problems


def compile(
    graph: nir.NIRGraph,
    runtime: str = "reference",
    *,
    dt: float | None = None,
    precision: str | None = None,
    **options: Any,
) -> Program:
    """Compiles ``graph`` for a runtime.

    Args:
        graph: the graph; it is checked first.
        runtime: "reference", "norse", "lava" or a plugin's name.
        dt: seconds per step for neurons with time constants; by default the EventInput's window, else 1e-3.
        precision: "float" or "fixed", where the runtime knows it; by default its first.
        options: what the runtime knows besides (``device``, ``mapping``, ``timeout``); anything else is refused.

    Returns:
        A program; use it as a context manager.

    Raises:
        RuntimeUnavailableError: the runtime is not installed or not usable here.
        GraphError: the graph is not valid; every problem is listed.
        UnsupportedError: the runtime does not run a node, the precision or an option.
        InputError: dt is not a positive number.
    """
    found = usable_runtime(runtime)
    _require_known_options(found, precision, options)
    if dt is not None and not (math.isfinite(dt) and dt > 0):
        raise InputError("option 'dt'", f"{dt} is not a positive number of seconds", "Give for instance 1e-3")
    problems = find_problems(graph)
    if problems:
        raise GraphError.from_problems(problems)
    plan = make_plan(graph, dt)
    unsupported = support_problems(found, plan)
    if unsupported:
        raise UnsupportedError.from_problems(unsupported)
    return found.compile(plan, precision or found.precisions[0], options)


def _require_known_options(runtime: Runtime, precision: str | None, options: dict[str, Any]) -> None:
    where = f"runtime '{runtime.name}'"
    if precision is not None and precision not in runtime.precisions:
        raise UnsupportedError(where, f"precision {precision!r} is not among {', '.join(runtime.precisions)}")
    unknown = sorted(set(options) - runtime.options)
    if unknown:
        known = ", ".join(sorted({"dt", "precision", *runtime.options}))
        raise UnsupportedError(where, f"option {unknown[0]!r} is unknown", f"It knows {known}")
