"""What the host does around a runtime: the ends of a graph of integers.

Before it: the ``Quantize`` nodes that stand right behind an Input.  Behind it, in a graph that has such: a ``Scale``
right before an Output, which says what the output's 1 stands for.  Both are computed here, in double precision, so a
runtime gets and gives integers, the same whatever it calculates in: in its plan the former are Inputs, and the latter
are gone.

What a PhaseEncode behind an Input cuts is no work of the host, but is counted here as well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import PhaseEncode, Quantize, is_input
from nirbridge.runtime.plan import Plan, PlannedNode

Array = NDArray[Any]


def without_host(plan: Plan) -> Plan:
    """The plan that a runtime gets: without what the host does, which stays in ``whole``; else the plan itself."""
    hosted = hosted_nodes(plan)
    if not hosted:
        return plan
    whole, plan = plan, without_units(plan)
    read = {planned.sources[0].name for planned in hosted.values()}
    others = {s.name for p in plan.nodes if p.name not in hosted for s in p.sources}
    gone = read - others
    nodes = tuple(_as_input(p) if p.name in hosted else p for p in plan.nodes if p.name not in gone)
    inputs = tuple(p.name for p in nodes if is_input(p.node))
    return replace(plan, nodes=nodes, inputs=inputs, whole=whole)


def hosted_nodes(plan: Plan) -> dict[str, PlannedNode]:
    """The Quantize nodes that an Input alone feeds, by name."""
    return {
        planned.name: planned
        for planned in plan.nodes
        if type(planned.node) is Quantize and len(planned.sources) == 1 and planned.sources[0].name in plan.inputs
    }


def hosted_units(plan: Plan) -> dict[str, PlannedNode]:
    """The Scale nodes that nothing but Outputs read, each of them alone, by name; none in a graph of real numbers."""
    if not hosted_nodes(plan):
        return {}
    inner = {s.name for p in plan.nodes if p.name not in plan.outputs or len(p.sources) > 1 for s in p.sources}
    read = {s.name for name in plan.outputs for s in plan[name].sources} - inner
    return {p.name: p for p in plan.nodes if p.name in read and type(p.node) is nir.Scale and p.loop is None}


def without_units(plan: Plan) -> Plan:
    """The plan whose Outputs give integers, without the Scale nodes before them; else the plan itself."""
    units = hosted_units(plan)
    if not units:
        return plan
    nodes = (
        replace(p, sources=units[p.sources[0].name].sources) if p.sources and p.sources[0].name in units else p
        for p in plan.nodes
        if p.name not in units
    )
    return replace(plan, nodes=tuple(nodes))


def in_units(plan: Plan, units: dict[str, PlannedNode], values: dict[str, Array]) -> dict[str, Array]:
    """What the Outputs and the Scale nodes before them send, for what a runtime gave for the former."""
    found = dict(values)
    for output in plan.outputs:
        for source in plan[output].sources:
            if source.name in units:
                found[output] = np.asarray(values[output], np.float64) * units[source.name].node.scale
                found[source.name] = found[output].copy()
    return found


def _as_input(planned: PlannedNode) -> PlannedNode:
    return replace(planned, node=nir.Input(np.array(planned.output_shape)), sources=())


@dataclass(frozen=True)
class Coded:
    """A PhaseEncode of the data of an Input.

    Attributes:
        planned: the PhaseEncode.
        input: the Input that feeds it.
        negated: whether it gets the data with the opposite sign.
        alone: whether no other one gets what is below 0 here.
    """

    planned: PlannedNode
    input: str
    negated: bool
    alone: bool

    def lost(self, x: Array) -> Loss:
        """What lies outside of 0..scale, which the code spans, of data [T, B, *shape]."""
        scale = np.asarray(self.planned.node.scale, dtype=np.float64)
        # Data are not negated: bytes would wrap around, and truth values have no sign.
        cut, below = (x < -scale, x > 0) if self.negated else (x > scale, x < 0)
        return Loss(x.size, cut=int((cut | below if self.alone else cut).sum()))


def coded_inputs(plan: Plan) -> tuple[Coded, ...]:
    """The PhaseEncode nodes that an Input alone feeds, as it is or through a Scale by -1."""
    found = []
    for planned in plan.nodes:
        if type(planned.node) is PhaseEncode and len(planned.sources) == 1:
            source = plan[planned.sources[0].name]
            negated = (
                type(source.node) is nir.Scale and len(source.sources) == 1 and bool(np.all(source.node.scale == -1))
            )
            name = source.sources[0].name if negated else source.name
            if name in plan.inputs:
                found.append((planned, name, negated))
    signs = {(name, negated) for _, name, negated in found}
    return tuple(Coded(p, name, negated, (name, not negated) not in signs) for p, name, negated in found)


@dataclass
class Loss:
    """What one Quantize or PhaseEncode lost of the data.

    Attributes:
        values: how many came.
        rounded: how many were no multiples of the step, where that is 1; a step from calibration is meant to round.
        cut: how many lay beyond what it takes.
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


def loss_text(node: Any, loss: Loss) -> str:
    """What to say about the data; empty where nothing was lost."""
    parts = []
    if loss.rounded:
        parts.append(f"{_share(loss.rounded, loss.values)} are no whole numbers and were rounded, at a step of 1")
    if loss.cut:
        parts.append(f"{_share(loss.cut, loss.values)} lie beyond {_span(node)} and were cut to the end of it")
    return "; ".join(parts)


def _span(node: Any) -> str:
    if type(node) is PhaseEncode:
        return f"0..{np.max(node.scale):g}, which the code spans,"
    return f"{int(np.min(node.low))}..{int(np.max(node.high))} steps"


def _share(count: int, values: int) -> str:
    return f"{count:,} of {values:,} values ({count / values:.2%})"
