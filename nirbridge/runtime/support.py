"""Whether a runtime runs a plan, and whether integers can say it: every problem at once."""

from __future__ import annotations

from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.errors import Problem
from nirbridge.ir import Quantize
from nirbridge.runtime.host import without_host
from nirbridge.runtime.integer_bounds import bound_problems
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.protocol import Runtime


def support_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    """Node types that the runtime lacks, then resets, then what its own rules find; the host's work is none of its."""
    plan = without_host(plan)
    next_step = "Use --runtime reference" if runtime.name != "reference" else "Give the runtime a lowering for it"
    missing = [
        Problem(
            str(planned),
            f"runtime '{runtime.name}' does not run {type(planned.node).__name__}",
            next_step,
            rule="runtime_supports_node",
        )
        for planned in plan.nodes
        if type(planned.node) not in runtime.supported
    ]
    return missing or [*_reset_problems(runtime, plan), *runtime.check(plan)]


def fixed_problems(plan: Plan) -> list[Problem]:
    """Every reason why a plan cannot run in precision "fixed"."""
    lowered = without_host(plan)
    nodes = {planned.name: planned.node for planned in lowered.nodes}
    found = [*quantized_inside(lowered), *fixed_point_problems(nodes, plan.dt)]
    return found or bound_problems(lowered)


def _reset_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    if "subtract" in getattr(runtime, "resets", ("value",)):
        return []
    found = f"runtime '{runtime.name}' does not know reset 'subtract'"
    return [
        Problem(str(planned), found, "Use --runtime reference", rule="runtime_supports_reset")
        for planned in plan.nodes
        if planned.reset_amount is not None
    ]


def quantized_inside(lowered: Plan) -> list[Problem]:
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
