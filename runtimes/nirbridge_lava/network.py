"""Plan → network of Lava Processes: depths, alignment, biases and sinks, as plain data.

The *depth* of a port is the number of one-step delays between the inputs and it.  Depths are known beforehand, so a
process knows at which Lava step a frame reaches it, and branches of different depth are made equal by ``Align``.

A cycle may not have such delays inside: its edges carry the value of the step before, not of some steps before.  So
its nodes share one process, which takes what enters them side by side in one vector and sends what leaves them alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.runtime import Plan, PlannedNode, membrane_of
from nirbridge_lava.cell import Cell
from nirbridge_lava.circuit import Circuit, Loop, entrance, make_circuit, make_loop
from nirbridge_lava.kernels import Product
from nirbridge_lava.shared import Frame

Array = NDArray[Any]
Cells = Mapping[str, "Cell | None"]


@dataclass(frozen=True)
class Unit:
    """One Lava Process.

    Attributes:
        name: unique, for messages.
        cell: what it is.
        senders: indices of the units that it receives from; their values add up.
        depth: of its input.
        offset: added to what it receives at each step while it works on data; None for nothing.
        inputs: what one sample has in what it receives.
        outputs: what one sample has in what it sends.
        membrane: where in shared memory its membrane is kept; None where nobody asks for it.
    """

    name: str
    cell: Cell
    senders: tuple[int, ...]
    depth: int
    offset: Array | None
    inputs: Frame
    outputs: Frame
    membrane: str | None = None


@dataclass(frozen=True)
class Signal:
    """What a node sends: the sum over some units' ports, all of one depth, and a constant."""

    units: tuple[int, ...]
    depth: int
    offset: Array | None


@dataclass(frozen=True)
class Slice:
    """Some values of a longer vector."""

    begin: int
    end: int
    length: int


@dataclass(frozen=True)
class LoopPlan:
    """A cycle in a process of its own: its stages, and which values of its ports belong to which.

    ``membranes`` says where in shared memory the membranes of nodes are kept.
    """

    loop: Loop
    inputs: dict[str, slice]
    outputs: dict[str, slice]
    membranes: dict[str, str]


@dataclass(frozen=True)
class FusedPlan:
    """A whole graph in one process: its circuit, the names of what comes back, and where membranes are kept."""

    circuit: Circuit
    inputs: tuple[str, ...]
    sinks: tuple[str, ...]
    membranes: dict[str, str]


@dataclass(frozen=True)
class Network:
    """All that has to be built.

    Attributes:
        units: senders before receivers.
        frames: what one sample has in a portion, of every input and sink by :func:`in_area` and :func:`out_area`.
        sinks: name of everything that comes back: nodes, and membranes with ":v" behind the node's name.
        model: tag of the process models, "floating_pt" or "fixed_pt".
        depth: of the deepest sink; a run takes as many steps more than there are portions.
        steps: graph input steps in a portion.
        wide: whether a portion may hold more than one sample.
    """

    units: tuple[Unit, ...]
    frames: dict[str, Frame]
    sinks: tuple[str, ...]
    depth: int
    steps: int
    wide: bool
    model: str


def in_area(name: str) -> str:
    """Where an input's frames lie in shared memory."""
    return f"in {name}"


def out_area(name: str) -> str:
    """Where a sink's frames lie in shared memory."""
    return f"out {name}"


def made_steps(plan: Plan) -> dict[str, int]:
    """Steps that each node makes in a portion."""
    return {planned.name: int(plan.block * planned.rate) for planned in plan.nodes}


@dataclass(frozen=True)
class _Sinks:
    """What comes back: nodes, and for each node whose membrane does, the name that it has then."""

    nodes: tuple[str, ...]
    membranes: dict[str, str]

    @classmethod
    def of(cls, plan: Plan, recorded: Sequence[str]) -> _Sinks:
        """Outputs and records, each once."""
        names = dict.fromkeys((*plan.outputs, *recorded))
        nodes = tuple(name for name in names if name in plan.names)
        return cls(nodes, {node: name for name in names if name not in nodes and (node := membrane_of(name))})

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.nodes, *self.membranes.values())

    @property
    def areas(self) -> dict[str, str]:
        """Node → where its membrane is kept."""
        return {node: out_area(name) for node, name in self.membranes.items()}

    def frames(self, plan: Plan) -> dict[str, Frame]:
        """Of every input and sink, by its area."""
        made = made_steps(plan)
        frames = {p.name: Frame(made[p.name], prod(p.output_shape)) for p in plan.nodes}
        areas = {in_area(name): frames[name] for name in plan.inputs}
        areas |= {out_area(name): frames[name] for name in self.nodes}
        return areas | {area: frames[node] for node, area in self.areas.items()}


def fused_network(plan: Plan, cells: Cells, recorded: Sequence[str], model: str = "floating_pt") -> Network:
    """One process that holds the whole graph and reads and writes the shared memory itself: no delay, no messages."""
    sinks = _Sinks.of(plan, recorded)
    cell = Cell("FusedGraph", parameters=FusedPlan(make_circuit(plan, cells), plan.inputs, sinks.nodes, sinks.areas))
    unit = Unit("graph", cell, (), 0, None, Frame(1, 1), Frame(1, 1))
    return Network((unit,), sinks.frames(plan), sinks.names, 0, plan.block, True, model)


def processes_network(plan: Plan, cells: Cells, recorded: Sequence[str], model: str = "floating_pt") -> Network:
    """One process a node; ``recorded`` nodes and outputs get a sink each."""
    sinks = _Sinks.of(plan, recorded)
    wiring = _Wiring(plan, cells, sinks, own_dense=model != "floating_pt")
    # Inputs first: a cycle that no data reach takes its steps from one, wherever it stands.
    for segment in sorted(plan.segments(), key=lambda nodes: nodes[0].name not in plan.inputs):
        if segment[0].loop is None:
            wiring.add(segment[0])
        else:
            wiring.add_loop(segment)
    depths = [wiring.add_sink(plan[name]) for name in sinks.nodes]
    depths += [unit.depth for unit in wiring.units if unit.membrane or unit.cell.process == "Cycle"]
    wiring.tie()
    return Network(tuple(wiring.units), sinks.frames(plan), sinks.names, max(depths), plan.block, False, model)


@dataclass
class _Wiring:
    plan: Plan
    cells: Cells
    sinks: _Sinks
    own_dense: bool
    units: list[Unit] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)
    aligned: dict[tuple[int, int], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.made = made_steps(self.plan)

    def add(self, planned: PlannedNode) -> None:
        cell = self.cells[planned.name]
        sources = [self.signals[source.name] for source in planned.sources]
        if cell is None:
            self.signals[planned.name] = self._sum(sources)
            return
        arriving = self._sum(sources) if sources else Signal((), 0, None)
        inputs, outputs = self._ports(planned)
        if _is_plain_matrix(cell, inputs) and not self.own_dense:
            cell = replace(cell, process="Dense", takes_bias=False)
        if arriving.offset is not None and not cell.takes_bias:
            arriving = self._relayed(arriving, planned, inputs)
        index = self._append(planned.name, cell, arriving, inputs, outputs)
        self.units[index] = replace(self.units[index], membrane=self.sinks.areas.get(planned.name))
        self.signals[planned.name] = Signal((index,), arriving.depth + cell.steps, cell.bias)

    def add_loop(self, segment: Sequence[PlannedNode]) -> None:
        """One process for a cycle, between one that puts its inputs side by side and one for each node that leaves."""
        inside = {planned.name for planned in segment}
        entering = {
            planned.name: [self.signals[source.name] for source in planned.sources if source.name not in inside]
            for planned in segment
        }
        entering = {name: signals for name, signals in entering.items() if signals}
        leaving = {s.name for p in self.plan.nodes if p.name not in inside for s in p.sources}.union(
            self.sinks.nodes
        ) & inside
        clock = self.plan.inputs[0]
        inputs = _side_by_side({p.name: prod(p.input_shape) for p in segment if p.name in entering} or {clock: 1})
        outputs = _side_by_side({p.name: prod(p.output_shape) for p in segment})
        steps = self.made[segment[0].name]
        wide, sent = (Frame(steps, _length(slices)) for slices in (inputs, outputs))
        placed = [self._placed(name, self._sum(signals), inputs[name], wide) for name, signals in entering.items()]
        watched = {node: area for node, area in self.sinks.areas.items() if node in inside}
        entrances = {entrance(name) if entering else clock: where for name, where in inputs.items()}
        plan = LoopPlan(make_loop(segment, self.cells, clock), entrances, outputs, watched)
        name = f"cycle of {', '.join(planned.name for planned in segment)}"
        arriving = self._sum(placed) if placed else self._ticking(clock, wide)
        index = self._append(name, Cell("Cycle", parameters=plan), arriving, wide, sent)
        for planned in segment:
            if planned.name in leaving:
                cell, part = self.cells[planned.name], outputs[planned.name]
                out = Frame(steps, part.stop - part.start)
                taken = self._append(
                    planned.name, Cell("Take", parameters=part), Signal((index,), arriving.depth, None), sent, out
                )
                self.signals[planned.name] = Signal((taken,), arriving.depth, None if cell is None else cell.bias)

    def _ticking(self, clock: str, one: Frame) -> Signal:
        """One value of an input, for a cycle that no data reach to take its steps."""
        port = Frame(one.steps, prod(self.plan[clock].output_shape))
        signal = self._sum([self.signals[clock]])
        return Signal(
            (self._append(f"{clock}:clock", Cell("Take", parameters=slice(0, 1)), signal, port, one),),
            signal.depth,
            None,
        )

    def add_sink(self, planned: PlannedNode) -> int:
        """Attaches a sink to what a node sends; returns its depth."""
        signal = self.signals[planned.name]
        port = Frame(self.made[planned.name], prod(planned.output_shape))
        self._append(f"{planned.name}:sink", Cell("FrameSink", parameters=planned.name), signal, port, port)
        return signal.depth

    def tie(self) -> None:
        """Lava compiles what is connected, so parts of a graph that are not meet in one more process."""
        pieces: dict[int, set[int]] = {}
        for index, unit in enumerate(self.units):
            merged = {index}.union(*(pieces[sender] for sender in unit.senders))
            pieces.update(dict.fromkeys(merged, merged))
        firsts = sorted({min(members) for members in pieces.values()})
        if len(firsts) < 2:
            return
        one = Frame(1, 1)
        heads = [
            self._append(f"tie{first}", Cell("Tie"), Signal((first,), 0, None), self.units[first].outputs, one)
            for first in firsts
        ]
        self._append("tie", Cell("Tie"), Signal(tuple(heads), 0, None), one, one)

    def _ports(self, planned: PlannedNode) -> tuple[Frame, Frame]:
        made = self.made[planned.name]
        taken = next((self.made[source.name] for source in planned.sources), made)
        return Frame(taken, prod(planned.input_shape)), Frame(made, prod(planned.output_shape))

    def _placed(self, name: str, signal: Signal, where: slice, wide: Frame) -> Signal:
        port = Frame(wide.steps, where.stop - where.start)
        cell = Cell("Place", parameters=Slice(where.start, where.stop, wide.values))
        return Signal((self._append(f"{name}:in", cell, signal, port, wide),), signal.depth, None)

    def _sum(self, sources: list[Signal]) -> Signal:
        """Signals brought to one depth and added; a sender that comes by two ways gets a second unit."""
        depth = max(signal.depth for signal in sources)
        units: list[int] = []
        for signal in sources:
            for unit in signal.units:
                late = self._delayed(unit, depth - signal.depth)
                units.append(self._copied(late, depth) if late in units else late)
        offsets = [signal.offset for signal in sources if signal.offset is not None]
        return Signal(tuple(units), depth, np.sum(offsets, axis=0) if offsets else None)

    def _delayed(self, unit: int, steps: int) -> int:
        if steps == 0:
            return unit
        if (unit, steps) not in self.aligned:
            sender = self.units[unit]
            depth = sender.depth + sender.cell.steps
            cell = Cell("Align", parameters=steps, steps=steps)
            signal = Signal((unit,), depth, None)
            self.aligned[unit, steps] = self._append(
                f"{sender.name}:align{steps}", cell, signal, sender.outputs, sender.outputs
            )
        return self.aligned[unit, steps]

    def _copied(self, unit: int, depth: int) -> int:
        sender = self.units[unit]
        name = f"{sender.name}:copy{len(self.units)}"
        return self._append(name, Cell("Relay"), Signal((unit,), depth, None), sender.outputs, sender.outputs)

    def _relayed(self, signal: Signal, planned: PlannedNode, port: Frame) -> Signal:
        """The same values with the constant added in, for a Process that cannot add it itself."""
        index = self._append(f"{planned.name}:bias", Cell("Relay"), signal, port, port)
        return Signal((index,), signal.depth, None)

    def _append(self, name: str, cell: Cell, signal: Signal, inputs: Frame, outputs: Frame) -> int:
        taken = {unit.name for unit in self.units}
        while name in taken:
            name += "'"
        self.units.append(Unit(name, cell, signal.units, signal.depth, signal.offset, inputs, outputs))
        return len(self.units) - 1


def _is_plain_matrix(cell: Cell, inputs: Frame) -> bool:
    """Whether Lava's own Dense does it: one vector times one matrix, in floating point."""
    p = cell.parameters
    return (
        cell.process == "MatrixSynapse"
        and type(p) is Product
        and inputs.steps == 1
        and (p.weight.ndim, len(p.shape)) == (2, 1)
    )


def _side_by_side(sizes: dict[str, int]) -> dict[str, slice]:
    ends = list(accumulate(sizes.values()))
    return {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}


def _length(slices: dict[str, slice]) -> int:
    return max(part.stop for part in slices.values())
