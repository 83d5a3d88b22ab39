"""Runs the rules over a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from nirbridge.checking.parameters import PARAMETER_RULES, parameters_are_finite, parameters_are_real_numbers
from nirbridge.checking.reachability import REACHABILITY_RULES
from nirbridge.checking.structure import STRUCTURE_RULES
from nirbridge.checking.suspicions import SUSPICION_RULES
from nirbridge.checking.times import TIME_ERRORS, TIME_WARNINGS, step_of
from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, infer_shapes
from nirbridge.passes.infer_rates import infer_rates
from nirbridge.passes.resolve_phase_pooling import resolve_phase_pooling

Rule = Callable[[FlatGraph], list[Problem]]


def shapes_agree(flat: FlatGraph) -> list[Problem]:
    """Every edge brings the shape that its target takes."""
    return infer_shapes(flat)[1]


def windows_agree(flat: FlatGraph) -> list[Problem]:
    """Inputs that add up come at one rate, windows stand in no cycle, and a maximum of phase codes is one of trains."""
    pooled, problems = resolve_phase_pooling(flat)
    return [*problems, *infer_rates(pooled)[1]]


RULES_OF_FORM: tuple[Rule, ...] = (*STRUCTURE_RULES, parameters_are_real_numbers, parameters_are_finite, shapes_agree)
"""Those that may see fields of any kind."""
RULES: tuple[Rule, ...] = (*STRUCTURE_RULES, *PARAMETER_RULES, shapes_agree, windows_agree)
"""What finds errors, one function a rule."""
WARNING_RULES: tuple[Rule, ...] = (*SUSPICION_RULES, *REACHABILITY_RULES)
"""What finds what is legal and hardly meant."""


def find_problems(flat: FlatGraph, dt: float | None = None) -> list[Problem]:
    """Every error in a graph itself, each with the rule that found it; with one, no runtime runs the graph.

    Args:
        flat: the graph.
        dt: seconds per step; by default the window of an EventInput, else 1 ms.
    """
    if any(problem.rule == "names_are_unique" for problem in flat.problems):
        return list(flat.problems)  # the rest of the graph cannot be told apart
    rules = RULES_OF_FORM if parameters_are_real_numbers(flat) else RULES  # the rest computes with the numbers
    problems = [*flat.problems, *_found(rules, "error", flat)]
    return problems or _found(TIME_ERRORS, "error", flat, step_of(flat, dt))


def find_warnings(flat: FlatGraph, dt: float | None = None) -> list[Problem]:
    """What is legal in a graph and yet hardly meant, each with severity "warning"; for a graph without errors."""
    return [*_found(WARNING_RULES, "warning", flat), *find_time_warnings(flat, dt)]


def find_time_warnings(flat: FlatGraph, dt: float | None = None, integrator: str = "euler") -> list[Problem]:
    """Those of the warnings that depend on the length of a step."""
    return _found(TIME_WARNINGS, "warning", flat, step_of(flat, dt, integrator))


def _found(rules: Sequence[Callable[..., list[Problem]]], severity: str, *arguments: Any) -> list[Problem]:
    return [
        replace(problem, rule=problem.rule or rule.__name__, severity=severity)
        for rule in rules
        for problem in rule(*arguments)
    ]
