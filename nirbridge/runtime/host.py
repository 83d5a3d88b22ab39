"""What the host does before data reach a runtime: the ``Quantize`` nodes that stand right behind an Input.

They are computed here once, in double precision, so a runtime gets the same integers whatever it calculates in: its
plan has an Input in the place of each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import Quantize, is_input
from nirbridge.runtime.plan import Plan, PlannedNode

Array = NDArray[Any]


def without_host(plan: Plan) -> Plan:
    """The plan that a runtime gets: without what the host does, which stays in ``whole``; else the plan itself."""
    hosted = hosted_nodes(plan)
    if not hosted:
        return plan
    read = {planned.sources[0].name for planned in hosted.values()}
    others = {s.name for p in plan.nodes if p.name not in hosted for s in p.sources}
    gone = read - others
    nodes = tuple(_as_input(p) if p.name in hosted else p for p in plan.nodes if p.name not in gone)
    inputs = tuple(p.name for p in nodes if is_input(p.node))
    return replace(plan, nodes=nodes, inputs=inputs, whole=plan)


def hosted_nodes(plan: Plan) -> dict[str, PlannedNode]:
    """The Quantize nodes that an Input alone feeds, by name."""
    return {
        planned.name: planned
        for planned in plan.nodes
        if type(planned.node) is Quantize and len(planned.sources) == 1 and planned.sources[0].name in plan.inputs
    }


def _as_input(planned: PlannedNode) -> PlannedNode:
    return replace(planned, node=nir.Input(np.array(planned.output_shape)), sources=())


@dataclass
class Loss:
    """What one Quantize lost of the data.

    Attributes:
        values: how many came.
        rounded: how many were no multiples of the step, where that is 1; a step from calibration is meant to round.
        cut: how many lay beyond low or high.
    """

    values: int = 0
    rounded: int = 0
    cut: int = 0

    def add(self, other: Loss) -> None:
        """Counts more data."""
        self.values += other.values
        self.rounded += other.rounded
        self.cut += other.cut


def quantized(node: Quantize, x: Array) -> tuple[Array, Loss]:
    """(the integers, what was lost) of data [T, B, *shape]."""
    wide = node.unclipped(x)
    cut = int(((wide < node.low) | (wide > node.high)).sum())
    rounded = int(((x != wide) & (node.step == 1)).sum()) if x.dtype.kind == "f" else 0
    return np.clip(wide, node.low, node.high), Loss(x.size, rounded, cut)


def loss_text(node: Quantize, loss: Loss) -> str:
    """What to say about the data; empty where nothing was lost."""
    parts = []
    if loss.rounded:
        parts.append(f"{_share(loss.rounded, loss.values)} are no whole numbers and were rounded, at a step of 1")
    if loss.cut:
        low, high = int(np.min(node.low)), int(np.max(node.high))
        parts.append(f"{_share(loss.cut, loss.values)} lie beyond {low}..{high} steps and were cut to the end of it")
    return "; ".join(parts)


def _share(count: int, values: int) -> str:
    return f"{count:,} of {values:,} values ({count / values:.2%})"
