"""What a program made of each node: process, model and what a message costs there."""

from __future__ import annotations

from typing import NamedTuple

from nirbridge.runtime import Plan, entering_exponents, message_cost, sent_exponents
from nirbridge_lava.integers import Shifted
from nirbridge_lava.stages import Cells

MODELS = {"float": "floating_pt", "fixed": "fixed_pt"}


class LoweredNode(NamedTuple):
    """One row of the lowering report.

    Attributes:
        node: its name.
        kind: its type.
        process: the Lava Process that does its work, "wire" where a connection does.
        place: where that process lives: "own process", "cycle" or "fused graph".
        model: "floating_pt" or "fixed_pt".
        cost: of one message at a synapse: "add" (messages are 0 or 1), "shift" (powers of two) or "multiply".
    """

    node: str
    kind: str
    process: str
    place: str
    model: str
    cost: str


def lowering_report(plan: Plan, cells: Cells, mapping: str, precision: str) -> tuple[LoweredNode, ...]:
    """One row a node, in execution order."""
    rows, sent = [], sent_exponents(plan)
    for planned in plan.nodes:
        cell = cells[planned.name]
        process = "wire" if cell is None else cell.process
        alone = "own process" if planned.loop is None else "cycle"
        binary = precision == "fixed" and message_cost(entering_exponents(planned, sent)) == "add"
        cost = "" if cell is None or not cell.latency else "add" if binary else "multiply"
        if cell is not None and type(cell.parameters) is Shifted:
            cost = "shift"
        place = "fused graph" if mapping == "fused" else alone
        kind = type(planned.node).__name__
        rows.append(LoweredNode(planned.name, kind, process, place, MODELS[precision], cost))
    return tuple(rows)
