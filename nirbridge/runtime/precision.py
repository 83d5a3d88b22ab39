"""Which precision a graph runs in, and what speaks against "fixed"."""

from __future__ import annotations

from dataclasses import replace

from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.errors import Problem, UnsupportedError
from nirbridge.ir import Quantize
from nirbridge.passes.find_integers import stores_integers
from nirbridge.runtime.host import hosted_nodes, without_host
from nirbridge.runtime.integer_bounds import bound_problems, integer_input_limit
from nirbridge.runtime.plan import Plan

FIXED = "fixed"


def meant_in_integers(plan: Plan) -> bool:
    """Whether the graph says that it runs in "fixed": a Quantize node makes integers of its input data.

    Nothing else does.  Arrays of a whole-number dtype are numbers as any other, and in "fixed" they would saturate at
    24 bits; a Quantize in the middle of a graph rounds values of floating point.
    """
    return bool(hosted_nodes(plan))


def may_mean_integers(plan: Plan) -> bool:
    """Whether a file leaves open how it is meant: integers throughout, which "fixed" could run, and no Quantize."""
    nodes = (planned.node for planned in plan.nodes)
    return not meant_in_integers(plan) and stores_integers(nodes) and not fixed_problems(plan)


def fixed_problems(plan: Plan) -> list[Problem]:
    """Every reason why a plan cannot run in precision "fixed"."""
    lowered = without_host(plan)
    nodes = {planned.name: planned.node for planned in lowered.nodes}
    found = [*_quantized_inside(lowered), *fixed_point_problems(nodes, plan.dt)]
    return found or bound_problems(lowered)


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


def _quantized_inside(lowered: Plan) -> list[Problem]:
    """The Quantize nodes that the host cannot compute, since no Input alone feeds them."""
    return [
        Problem(
            str(planned),
            f"stands behind {' and '.join(str(lowered[s.name]) for s in planned.sources)}, and precision 'fixed' "
            "rounds data on the host alone, right behind an Input",
            "Move it there",
            rule="node_runs_in_fixed_point",
        )
        for planned in lowered.nodes
        if type(planned.node) is Quantize
    ]
