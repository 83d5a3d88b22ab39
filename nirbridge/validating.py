"""The whole check of a graph: its own rules, then what a runtime says."""

from __future__ import annotations

import nir

from nirbridge.checking import find_problems
from nirbridge.errors import Problem
from nirbridge.runtime import find_runtime, make_plan, support_problems


def check(graph: nir.NIRGraph, runtime: str | None = None) -> list[Problem]:
    """All problems of ``graph``, and with ``runtime`` also what that runtime does not run.

    Args:
        graph: the graph.
        runtime: name of an installed runtime, which need not be usable here.

    Returns:
        The problems, each with the rule that found it; none where the graph is good.

    Raises:
        RuntimeUnavailableError: no runtime has this name.
    """
    problems = find_problems(graph)
    if runtime is None or problems:
        return problems
    return support_problems(find_runtime(runtime), make_plan(graph))
