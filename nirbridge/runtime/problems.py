"""graph → problems: those of the graph itself, then those that a runtime has with it."""

from __future__ import annotations

from nirbridge.checking import find_problems, find_warnings
from nirbridge.errors import Problem
from nirbridge.ir import Graph, flatten
from nirbridge.runtime.discovery import find_runtime
from nirbridge.runtime.options import require_option, require_seconds
from nirbridge.runtime.plan import make_plan
from nirbridge.runtime.precision import FIXED, PRECISIONS, meant_in_integers
from nirbridge.runtime.support import fixed_problems, support_problems


def check(
    graph: Graph, runtime: str | None = None, dt: float | None = None, *, precision: str | None = None
) -> list[Problem]:
    """All problems of ``graph``, and with ``runtime`` also what that runtime does not run.

    Args:
        graph: the graph, or what ``nirbridge.ir.flatten`` made of it.
        runtime: name of an installed runtime, which need not be usable here.
        dt: seconds per step that the graph is to run with; by default the window of an EventInput, else 1e-3.
        precision: "float" or "fixed", in which the graph is to run; by default what the graph says.

    Returns:
        The problems, each with the rule that found it and its severity: errors first, for they stop ``compile``.
        Warnings, which stop nothing, are looked for in a graph without errors.

    Raises:
        RuntimeUnavailableError: no runtime has this name.
        InputError: dt is not a positive number, or the precision is unknown.
    """
    require_seconds("dt", dt)
    if precision is not None:
        require_option("precision", precision, PRECISIONS)
    found = None if runtime is None else find_runtime(runtime)
    flat = flatten(graph)
    problems = find_problems(flat, dt)
    if problems:
        return problems
    plan = make_plan(flat, dt)
    unsupported = [] if found is None else support_problems(found, plan)
    in_integers = precision == FIXED if precision else meant_in_integers(plan)
    return [*unsupported, *(fixed_problems(plan) if in_integers else []), *find_warnings(flat, dt)]
