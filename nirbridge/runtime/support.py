"""Whether a runtime runs a plan: every problem at once."""

from __future__ import annotations

from nirbridge.errors import Problem
from nirbridge.runtime.plan import Plan
from nirbridge.runtime.protocol import Runtime


def support_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    """Node types that the runtime lacks, then resets, then what its own rules find."""
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
    return missing or [*_reset_problems(runtime, plan), *runtime.check(plan)]


def _reset_problems(runtime: Runtime, plan: Plan) -> list[Problem]:
    if "subtract" in getattr(runtime, "resets", ("to_value",)):
        return []
    found = f"runtime '{runtime.name}' does not know reset 'subtract'"
    return [
        Problem(str(planned), found, "Use --runtime reference", rule="runtime_supports_reset")
        for planned in plan.nodes
        if planned.reset_amount is not None
    ]
