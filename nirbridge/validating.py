"""The whole check of a graph: its own rules, then what a runtime says."""

from __future__ import annotations

import nir

from nirbridge.checking import find_problems, find_warnings
from nirbridge.errors import Problem
from nirbridge.runtime import find_runtime, make_plan, support_problems


def check(graph: nir.NIRGraph, runtime: str | None = None) -> list[Problem]:
    """All problems of ``graph``, and with ``runtime`` also what that runtime does not run.

    Args:
        graph: the graph.
        runtime: name of an installed runtime, which need not be usable here.

    Returns:
        The problems, each with the rule that found it and its severity: errors first, for they stop ``compile``.
        Warnings, which stop nothing, are looked for in a graph without errors.

    Raises:
        RuntimeUnavailableError: no runtime has this name.
    """
    found = None if runtime is None else find_runtime(runtime)
    problems = find_problems(graph)
    if problems:
        return problems
    unsupported = [] if found is None else support_problems(found, make_plan(graph))
    return [*unsupported, *find_warnings(graph)]
