"""Runs the rules over a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nir

from nirbridge.checking.parameters import PARAMETER_RULES, parameters_are_finite, parameters_are_real_numbers
from nirbridge.checking.reachability import REACHABILITY_RULES
from nirbridge.checking.structure import STRUCTURE_RULES
from nirbridge.checking.suspicions import SUSPICION_RULES
from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, flatten, infer_shapes
from nirbridge.passes.infer_rates import infer_rates
from nirbridge.passes.resolve_phase_pooling import resolve_phase_pooling

Rule = Callable[[FlatGraph], list[Problem]]


def shapes_agree(flat: FlatGraph) -> list[Problem]:
    """Every edge brings the shape that its target takes."""
    return infer_shapes(flat)[1]


def windows_agree(flat: FlatGraph) -> list[Problem]:
    """Inputs that add up come at one rate, and nodes that work on windows stand in no cycle."""
    return infer_rates(resolve_phase_pooling(flat))[1]


RULES_OF_FORM: tuple[Rule, ...] = (*STRUCTURE_RULES, parameters_are_real_numbers, parameters_are_finite, shapes_agree)
"""Those that may see fields of any kind."""
RULES: tuple[Rule, ...] = (*STRUCTURE_RULES, *PARAMETER_RULES, shapes_agree, windows_agree)
WARNING_RULES: tuple[Rule, ...] = (*SUSPICION_RULES, *REACHABILITY_RULES)


def find_problems(graph: nir.NIRGraph) -> list[Problem]:
    """Every error in ``graph`` itself, each with the rule that found it; with one, no runtime runs the graph."""
    flat = flatten(graph)
    if any(problem.rule == "names_are_unique" for problem in flat.problems):
        return list(flat.problems)  # the rest of the graph cannot be told apart
    rules = RULES_OF_FORM if parameters_are_real_numbers(flat) else RULES  # the rest computes with the numbers
    return [*flat.problems, *_found(rules, flat, "error")]


def find_warnings(graph: nir.NIRGraph) -> list[Problem]:
    """What is legal in ``graph`` and yet hardly meant, each with severity "warning"; for a graph without errors."""
    return _found(WARNING_RULES, flatten(graph), "warning")


def _found(rules: tuple[Rule, ...], flat: FlatGraph, severity: str) -> list[Problem]:
    return [
        replace(problem, rule=problem.rule or rule.__name__, severity=severity)
        for rule in rules
        for problem in rule(flat)
    ]
