"""How many steps a network takes for an answer."""

from __future__ import annotations

from nirbridge.ir import PhaseIF
from nirbridge.runtime import Plan


def window_steps(plan: Plan, steps: int) -> int:
    """T, the steps that one inference of ``steps`` input steps has at the fastest node: phases of a phase code."""
    return int(max(planned.rate for planned in plan.nodes) * steps)


def latency_steps(plan: Plan, steps: int) -> int:
    r"""Steps from the first of an input until its answer.

    .. math:: T + \\max_{path} \\sum T_w

    T_w is the wait of each PhaseIF on the path; other nodes answer within the step.  A network that is pipelined
    takes the next input after T steps already, so that N of them take N T + Σ T_w.

    Source: Hwang and Kung, 2024, latency with pipelining.
    """
    waited: dict[str, int] = {}
    for planned in plan.nodes:  # in the order of execution, so that only edges which close a cycle are missing
        before = max((waited[s.name] for s in planned.sources if s.name in waited), default=0)
        waited[planned.name] = before + (planned.node.wait if type(planned.node) is PhaseIF else 0)
    return window_steps(plan, steps) + max(waited[name] for name in plan.outputs)
