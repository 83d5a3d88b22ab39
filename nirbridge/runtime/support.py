"""Whether a runtime runs a plan: every problem at once."""

from __future__ import annotations

from nirbridge.errors import Problem
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.protocol import Runtime


def support_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    """Node types that the runtime lacks, then what its own rules find."""
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
    return missing or list(runtime.check(plan))
