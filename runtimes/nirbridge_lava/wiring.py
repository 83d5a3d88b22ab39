"""Plan → stages: who sends to whom, which constants are added, and how late everything is.

Both mappings are wired here.  A bias travels beside the values, as a constant that their receivers add.  With a process
a stage each synapse is one Lava step late; the *depth* of a stage is the number of such steps between the inputs and
it, and a relay makes up for the difference where branches meet.

A cycle may not have such delays inside: its edges carry the value of the step before, not of some steps before.  So it
is one stage, which takes what enters it side by side in one vector and sends what leaves it alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from nirbridge.runtime import Plan, PlannedNode, membrane_of
from nirbridge.runtime.states import LINE, SENT, state_names
from nirbridge_lava import kernels
from nirbridge_lava.cell import Array, Cell, pointwise, same
from nirbridge_lava.stages import Cells, Cycle, Held, Network, Size, Stage, Sum, in_area, out_area


def make_network(plan: Plan, cells: Cells, recorded: Sequence[str], mapping: str, model: str) -> Network:
    """Wires a plan whose nodes have been lowered.

    Args:
        plan: the plan.
        cells: what became of each node; None for a mere connection.
        recorded: nodes and membranes that come back beside the outputs.
        mapping: "processes" or "fused".
        model: "floating_pt" or "fixed_pt".
    """
    names = dict.fromkeys((*plan.outputs, *recorded))
    nodes = tuple(name for name in names if name in plan.names)
    membranes = {node: name for name in names if name not in nodes and (node := membrane_of(name))}
    wiring = _Wiring(plan, cells, membranes, mapping == "fused", np.float64 if model == "floating_pt" else np.int64)
    # Inputs first: a cycle that no data reach takes its steps from one, wherever it stands.
    for segment in sorted(plan.segments(), key=lambda segment: segment[0].name not in plan.inputs):
        if segment[0].loop is None:
            wiring.add(segment[0])
        else:
            wiring.add_cycle(segment, nodes)
    for name in nodes:
        wiring.add_sink(plan[name])
    if not wiring.fused:
        wiring.tie()
    sizes = {planned.name: wiring.sends(planned) for planned in plan.nodes}
    areas = {in_area(name): sizes[name] for name in plan.inputs}
    areas |= {out_area(name): sizes[name] for name in nodes}
    areas |= {out_area(name): sizes[node] for node, name in membranes.items()}
    sinks = (*nodes, *membranes.values())
    return Network(tuple(wiring.stages.values()), areas, sinks, plan.block, wiring.fused, model)


class _Wiring:
    """The stages so far, and where the values of each node come from.

    Args:
        plan: the plan.
        cells: what became of each node.
        membranes: node → the name by which its membrane comes back.
        fused: whether one process holds all stages, so that none is late.
        dtype: of all values.
    """

    def __init__(self, plan: Plan, cells: Cells, membranes: Mapping[str, str], fused: bool, dtype: type) -> None:
        self.plan, self.cells, self.membranes, self.fused, self.dtype = plan, cells, membranes, fused, dtype
        self.stages: dict[str, Stage] = {}
        self.sums: dict[str, Sum] = {}
        self.relays: dict[tuple[str, int], str] = {}

    def sends(self, planned: PlannedNode) -> Size:
        """What a node sends in a portion."""
        return int(self.plan.block * planned.rate), prod(planned.output_shape)

    def add(self, planned: PlannedNode) -> None:
        """The stage of a node outside of cycles, or a mere sum."""
        name, cell = planned.name, self.cells[planned.name]
        total = self._total([self.sums[source.name] for source in planned.sources])
        if cell is not None:
            steps = self.sends(self.plan[planned.sources[0].name] if planned.sources else planned)[0]
            size = steps, prod(planned.input_shape)
            reads = in_area(name) if name in self.plan.inputs else None
            kept = {out_area(self.membranes[name]): itemgetter(cell.membrane)} if name in self.membranes else {}
            how = {"reads": reads, "membranes": kept, "holds": tuple(self._held(planned, None))}
            total = self._append(name, cell, total, size, self.sends(planned), **how)
        self.sums[name] = total

    def add_sink(self, planned: PlannedNode) -> None:
        """Has what a node sends, constants included, kept in shared memory."""
        name, size = planned.name, self.sends(planned)
        sink = Cell("FrameSink", same)
        self._append_beside(f"{name}:sink", sink, self.sums[name], size, size, keeps=out_area(name))

    def add_cycle(self, segment: Sequence[PlannedNode], recorded: Sequence[str]) -> None:
        """A stage for a cycle, between one that puts each input in its place and one for each node that leaves."""
        inside = {planned.name: planned for planned in segment}
        entering = self._entering(inside)
        read = {source.name for p in self.plan.nodes if p.name not in inside for source in p.sources}.union(recorded)
        leaving = [name for name in inside if name in read] or [segment[-1].name]
        inputs = _side_by_side({name: prod(inside[name].input_shape) for name in entering} or {"": 1})
        outputs = _side_by_side({name: prod(inside[name].output_shape) for name in leaving})
        if not entering:
            # No data reach it: an input gives it its steps, and nothing else.
            clock = self.plan.inputs[0]
            entering[clock], inputs[clock] = self.sums[clock], slice(0, 0)
        steps = self.sends(segment[0])[0]
        takes, sends = ((steps, max(part.stop for part in slices.values())) for slices in (inputs, outputs))
        placed = [self._placed(name, total, inputs[name], takes) for name, total in entering.items()]
        watched = [name for name in inside if name in self.membranes]
        kept = {out_area(self.membranes[name]): _membrane_inside(name, self.cells[name]) for name in watched}
        cell = Cell("Cycle", None, *_cycle(segment, self.cells, inputs, leaving, self.dtype))
        held = tuple(held for planned in segment for held in self._held(planned, planned.name))
        how = {"membranes": kept, "holds": held + tuple(_held_late(inside))}
        total = self._append_beside(f"cycle of {', '.join(inside)}", cell, self._total(placed), takes, sends, **how)
        for name, part in outputs.items():
            taken = Cell("Take", pointwise(kernels.take), part, bias=_bias(self.cells[name]))
            self.sums[name] = self._append(name, taken, total, sends, self.sends(inside[name]))

    def tie(self) -> None:
        """Lava compiles what is connected, so parts of a graph that are not meet in one more process."""
        pieces: dict[str, set[str]] = {}
        for stage in self.stages.values():
            merged = {stage.name}.union(*(pieces[sender] for sender in stage.senders))
            pieces.update(dict.fromkeys(merged, merged))
        firsts: dict[int, str] = {}
        for name, piece in pieces.items():
            firsts.setdefault(id(piece), name)
        if len(firsts) < 2:
            return
        cell, one = Cell("Tie", pointwise(kernels.first)), (1, 1)
        heads = [
            self._append_beside(f"{name}:tie", cell, Sum((name,), 0, None), self.stages[name].sends, one)
            for name in firsts.values()
        ]
        self._append_beside("tie", cell, self._total(heads), one, one)

    def _held(self, planned: PlannedNode, inside: str | None) -> Iterator[Held]:
        """The states of a node in the state of its cell, or in that of its cycle."""
        cell, values = self.cells[planned.name], prod(planned.output_shape)
        names = state_names(planned, self.plan.dt, self.dtype is np.int64)
        for row, name in enumerate(names):
            yield Held(f"{planned.name}:{name}", inside, slice(row, row + 1), values)
        if cell is not None and cell.start is not None and not names:
            yield Held(f"{planned.name}:{LINE}", inside, slice(0, len(cell.start)), values)

    def _entering(self, inside: Mapping[str, PlannedNode]) -> dict[str, Sum]:
        """What enters each node of a cycle from outside."""
        outside = {
            name: [self.sums[source.name] for source in planned.sources if source.name not in inside]
            for name, planned in inside.items()
        }
        return {name: self._total(sums) for name, sums in outside.items() if sums}

    def _placed(self, name: str, total: Sum, where: slice, wide: Size) -> Sum:
        if where == slice(0, wide[1]):
            return total
        cell = Cell("Place", pointwise(kernels.put), (where, wide[1]))
        return self._append_beside(f"{name}:in", cell, total, self.stages[total.senders[0]].sends, wide)

    def _total(self, sums: Sequence[Sum]) -> Sum:
        """Sums brought to one depth and added; between processes a sender that comes twice gets a second one."""
        depth = max((total.depth for total in sums), default=0)
        senders: list[str] = []
        for total in sums:
            for sender in total.senders:
                late = self._late(sender, depth - total.depth)
                senders.append(self._relay(late, 0) if not self.fused and late in senders else late)
        return Sum(tuple(senders), depth, _added([total.constant for total in sums]))

    def _late(self, sender: str, steps: int) -> str:
        if steps == 0:
            return sender
        if (sender, steps) not in self.relays:
            self.relays[sender, steps] = self._relay(sender, steps)
        return self.relays[sender, steps]

    def _relay(self, sender: str, steps: int) -> str:
        stage = self.stages[sender]
        arriving = Sum((sender,), stage.depth + stage.cell.latency, None)
        cell = Cell("Relay", same, latency=steps)
        return self._append_beside(f"{sender}:align{steps}", cell, arriving, stage.sends, stage.sends).senders[0]

    def _append_beside(self, name: str, *what: Any, **more: Any) -> Sum:
        """The same for a stage that is not a node's own, under a name that no node has."""
        while name in self.stages or name in self.plan.names:
            name += "'"
        return self._append(name, *what, **more)

    def _append(self, name: str, cell: Cell, total: Sum, takes: Size, sends: Size, **more: Any) -> Sum:
        """Adds a stage; gives what it sends."""
        self.stages[name] = Stage(name, cell, total.senders, total.constant, total.depth, takes, sends, **more)
        return Sum((name,), total.depth + (0 if self.fused else cell.latency), cell.bias)


def _cycle(
    segment: Sequence[PlannedNode], cells: Cells, inputs: Mapping[str, slice], leaving: Sequence[str], dtype: type
) -> tuple[Cycle, dict[str, Any]]:
    """The stages of a cycle, and its state before the first step, when late values are 0."""
    inside = {planned.name: planned for planned in segment}
    stages: list[Stage] = []
    late: dict[str, tuple[str, Array | None]] = {}
    start: dict[str, Any] = {}
    for name, planned in inside.items():
        forward = [source.name for source in planned.sources if source.name in inside and not source.delayed]
        behind = [source.name for source in planned.sources if source.delayed]
        for source in behind:
            late[_before(source)] = source, _bias(cells[source])
            start[_before(source)] = np.zeros((1, prod(inside[source].output_shape)), dtype)
        entrance = [_entrance(name)] if name in inputs else []
        cell = cells[name] or Cell("Wire", same)
        start[name] = cell.start
        senders = (*entrance, *forward, *map(_before, behind))
        stages.append(Stage(name, cell, senders, _added([_bias(cells[source]) for source in forward])))
    entrances = {_entrance(name): where for name, where in inputs.items()}
    return Cycle(tuple(stages), entrances, late, tuple(leaving)), start


def _held_late(inside: Mapping[str, PlannedNode]) -> Iterator[Held]:
    """What goes back in a cycle, by name of its sender."""
    for name in dict.fromkeys(s.name for planned in inside.values() for s in planned.sources if s.delayed):
        yield Held(f"{name}:{SENT}", _before(name), slice(0, 1), prod(inside[name].output_shape))


# No node of a file has such a name: they hold no NUL.
def _entrance(name: str) -> str:
    return f"{name}\0in"


def _before(name: str) -> str:
    return f"{name}\0before"


def _membrane_inside(name: str, cell: Cell | None) -> Callable[[Any], Array]:
    """The membrane of a node of a cycle, in the cycle's state."""
    assert cell is not None
    return lambda state: state[name][cell.membrane]


def _bias(cell: Cell | None) -> Array | None:
    return None if cell is None else cell.bias


def _added(constants: Sequence[Array | None]) -> Array | None:
    some = [constant for constant in constants if constant is not None]
    return np.sum(some, axis=0) if some else None


def _side_by_side(sizes: Mapping[str, int]) -> dict[str, slice]:
    ends = list(accumulate(sizes.values()))
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}
