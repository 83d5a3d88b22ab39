"""Whether the steps of a graph are as long as the windows of events that its frames hold."""

from __future__ import annotations

from math import isclose

from nirbridge.ir import EventInput, spec_of, time_constants
from nirbridge.runtime.plan import Plan


def step_note(plan: Plan, frame: float) -> str:
    """What to say where a frame stands for another time than the step that enters it; empty if there is nothing.

    An EventInput states its window, which ``compile`` takes for the step unless the call says otherwise.

    Args:
        plan: of the graph.
        frame: seconds of events that a frame holds; 0 where frames hold so many events.
    """
    if not frame or isclose(plan.dt, frame, rel_tol=1e-6):
        return ""
    if any(type(planned.node) is EventInput for planned in plan.nodes):
        return ""
    timed = (p for p in plan.nodes if time_constants(p.node) or spec_of(p.node).operation == "delay")
    if (first := next(timed, None)) is None:
        return ""
    found = f"{first} runs in steps of {plan.dt:g} s, and a frame holds {frame:g} s of events"
    return f"{found}. Give --dt {frame:g} (dt={frame:g}) if it was made for steps of that length."
