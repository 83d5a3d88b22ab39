"""Which precision a graph runs in."""

from __future__ import annotations

from dataclasses import replace

import nir

from nirbridge.errors import Problem, UnsupportedError
from nirbridge.ir import Quantize
from nirbridge.passes.find_integers import stores_integers, stores_some_integers
from nirbridge.runtime.host import hosted_nodes, without_host
from nirbridge.runtime.integer_bounds import integer_input_limit
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.support import fixed_problems, quantized_inside

FIXED = "fixed"
PRECISIONS = ("float", FIXED)
"""What a graph may ask for; a runtime may know others."""


def meant_in_integers(plan: Plan) -> bool:
    """Whether the graph says that it runs in "fixed": a Quantize node makes integers of its input data.

    Nothing else does.  Arrays of a whole-number dtype are numbers as any other, and in "fixed" they would saturate at
    24 bits; a Quantize in the middle of a graph rounds values of floating point.
    """
    return bool(hosted_nodes(plan))


def missed_quantize(plan: Plan) -> list[Problem]:
    """The Quantize nodes before integers which do not make the graph run in "fixed": none stands behind an Input."""
    behind: dict[str, nir.NIRNode] = {}
    for planned in plan.nodes:
        if type(planned.node) is Quantize or any(source.name in behind for source in planned.sources):
            behind[planned.name] = planned.node
    meant = meant_in_integers(plan) or not stores_some_integers(behind.values())
    return [] if meant else quantized_inside(plan)


def may_mean_integers(plan: Plan) -> bool:
    """Whether a file leaves open how it is meant: integers throughout, which "fixed" could run, and no Quantize."""
    nodes = (planned.node for planned in plan.nodes)
    return not meant_in_integers(plan) and stores_integers(nodes) and not fixed_problems(plan)


def in_integers(plan: Plan, asked: bool) -> Plan:
    """The plan with the limit of its inputs in precision "fixed".

    Args:
        plan: the plan.
        asked: whether the caller asked for the precision; else the graph did, and "float" is a way out.

    Raises:
        UnsupportedError: it holds what integers cannot say; every node is listed with its reason.
    """
    problems = fixed_problems(plan)
    if problems and not asked:
        out = "or take precision 'float' (--precision float)"
        problems = [replace(p, next_step=f"{p.next_step.rstrip('.')}, {out}") for p in problems]
    if problems:
        raise UnsupportedError.from_problems(problems)
    return replace(plan, input_limit=integer_input_limit(without_host(plan)))
