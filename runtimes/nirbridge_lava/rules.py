"""What this runtime cannot run, beyond unknown node types: one predicate each."""

from __future__ import annotations

from collections.abc import Callable

from nirbridge.errors import Problem
from nirbridge.runtime import Plan

_ELSEWHERE = "Use --runtime reference or norse"


def graph_is_feed_forward(plan: Plan) -> list[Problem]:
    """No node stands in a cycle: the pipeline's hidden delays would lengthen it."""
    return [
        Problem(
            str(planned),
            "stands in a cycle, and runtime 'lava' runs feed-forward graphs",
            _ELSEWHERE,
            rule="graph_is_feed_forward",
        )
        for planned in plan.nodes
        if planned.loop is not None
    ]


def graph_is_one_piece(plan: Plan) -> list[Problem]:
    """Lava compiles the processes that are connected with each other, so all inputs must meet."""
    piece: dict[str, set[str]] = {}
    for planned in plan.nodes:
        merged = {planned.name}.union(*(piece[source.name] for source in planned.sources if source.name in piece))
        piece.update(dict.fromkeys(merged, merged))
    pieces = {min(members): len(members) for members in piece.values()}
    if len(pieces) < 2:
        return []
    found = f"falls apart into {len(pieces)} networks without a connection, and Lava runs one at a time"
    return [Problem("graph", found, "Compile each by itself", rule="graph_is_one_piece")]


RULES: tuple[Callable[[Plan], list[Problem]], ...] = (graph_is_feed_forward, graph_is_one_piece)
