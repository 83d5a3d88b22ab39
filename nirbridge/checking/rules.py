"""Runs the rules over a graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nir

from nirbridge.checking.parameters import PARAMETER_RULES
from nirbridge.checking.structure import STRUCTURE_RULES
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


RULES: tuple[Rule, ...] = (*STRUCTURE_RULES, *PARAMETER_RULES, shapes_agree, windows_agree)


def find_problems(graph: nir.NIRGraph) -> list[Problem]:
    """Everything that is wrong with ``graph`` itself, each problem with the rule that found it."""
    flat = flatten(graph)
    problems = list(flat.problems)
    for rule in RULES:
        problems += [replace(problem, rule=problem.rule or rule.__name__) for problem in rule(flat)]
    return problems
