"""For how many steps a graph is shown a still image."""

from __future__ import annotations

from nirbridge.costing.latency import window_steps
from nirbridge.errors import InputError
from nirbridge.ir import Graph, PhaseEncode, frames_of_inference, is_coded
from nirbridge.reports import counted
from nirbridge.runtime import Plan


def steps_of_still(graph: Graph, plan: Plan, asked: int | None) -> int:
    """T, in steps of the graph's input: as asked, or what the graph says by itself.

    A graph that was converted for one frame makes its T steps of it itself, so either number is its own.

    Raises:
        InputError: the graph was converted for another number, or neither says one.
    """
    own = frames_of_inference(graph)
    if own is not None:
        made = window_steps(plan, own)
        if asked not in (None, own, made):
            found = f"was converted for T = {made}, but {counted(asked, 'step')} are asked for"
            raise InputError("graph", found, f"Leave --steps out, or convert it with --steps {asked}")
        return own
    count = asked if asked is not None else own_steps(graph, plan)
    if count is None:
        found = "does not say for how many steps still images are shown"
        raise InputError("graph", found, "Give the steps (--steps), or a time axis")
    return count


def own_steps(graph: Graph, plan: Plan) -> int | None:
    """Input steps of what it was converted for, else of a window where still images make sense: they are no phase code.

    None where the graph says neither.
    """
    if (own := frames_of_inference(graph)) is not None:
        return own
    if any(is_coded(planned.node) for planned in plan.nodes):
        return plan.block if any(type(planned.node) is PhaseEncode for planned in plan.nodes) else None
    return plan.block if plan.block > 1 else None
