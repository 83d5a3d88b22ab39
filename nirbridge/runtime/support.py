"""Whether a runtime, or integers, run a plan: every problem at once."""

from __future__ import annotations

from nirbridge.checking.fixed_point import fixed_point_problems
from nirbridge.errors import Problem
from nirbridge.runtime.integer_bounds import bound_problems
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.protocol import Runtime


def support_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    """Node types that the runtime lacks, then what its own rules find."""
    missing = [
        Problem(
            str(planned),
            f"runtime '{runtime.name}' does not run {type(planned.node).__name__}",
            "Use --runtime reference",
            rule="runtime_supports_node",
        )
        for planned in plan.nodes
        if type(planned.node) not in runtime.supported
    ]
    return missing or list(runtime.check(plan))


def fixed_problems(plan: Plan) -> list[Problem]:
    """Every reason why a plan cannot run in precision "fixed"."""
    nodes = {planned.name: planned.node for planned in plan.nodes}
    return fixed_point_problems(nodes, plan.dt) or bound_problems(plan)
