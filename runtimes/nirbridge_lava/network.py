"""Plan → network of Lava Processes: depths, alignment, biases and sinks, as plain data.

The *depth* of a port is the number of one-step delays between the inputs and it.  Depths are known beforehand, so a
process knows at which Lava step a frame reaches it, and branches of different depth are made equal by ``Align``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.runtime import Plan, PlannedNode
from nirbridge_lava.lowering import LOWERING, Cell

Array = NDArray[Any]


@dataclass(frozen=True)
class Unit:
    """One Lava Process.

    Attributes:
        name: unique, for messages.
        cell: what it is.
        senders: indices of the units that it receives from; their values add up.
        depth: of its input.
        offset: added to what it receives while it works on data; None for nothing.
        inputs: values in what it receives.
        outputs: values in what it sends.
    """

    name: str
    cell: Cell
    senders: tuple[int, ...]
    depth: int
    offset: Array | None
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Signal:
    """What a node sends: the sum over some units' ports, all of one depth, and a constant."""

    units: tuple[int, ...]
    depth: int
    offset: Array | None


@dataclass(frozen=True)
class Network:
    """All that has to be built.

    Attributes:
        units: senders before receivers.
        sinks: name of every node whose values come back.
        depth: of the deepest sink; a run takes as many steps more than there are frames.
    """

    units: tuple[Unit, ...]
    sinks: tuple[str, ...]
    depth: int


def make_network(plan: Plan, recorded: Sequence[str]) -> Network:
    """The network for a feed-forward plan; ``recorded`` nodes and outputs get a sink each."""
    wiring = _Wiring()
    sinks = tuple(dict.fromkeys((*plan.outputs, *recorded)))
    for planned in plan.nodes:
        wiring.add(planned, plan.dt)
    depths = [wiring.add_sink(plan[name]) for name in sinks]
    return Network(tuple(wiring.units), sinks, max(depths))


@dataclass
class _Wiring:
    units: list[Unit] = field(default_factory=list)
    signals: dict[str, Signal] = field(default_factory=dict)
    aligned: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, planned: PlannedNode, dt: float) -> None:
        cell = LOWERING[type(planned.node)](planned, dt)
        sources = [self.signals[source.name] for source in planned.sources]
        if cell is None:
            self.signals[planned.name] = self._sum(sources)
            return
        arriving = self._sum(sources) if sources else Signal((), 0, None)
        if arriving.offset is not None and not cell.takes_bias:
            arriving = self._relayed(arriving, planned)
        sizes = prod(planned.input_shape), prod(planned.output_shape)
        index = self._append(planned.name, cell, arriving, *sizes)
        self.signals[planned.name] = Signal((index,), arriving.depth + cell.steps, cell.bias)

    def add_sink(self, planned: PlannedNode) -> int:
        """Attaches a sink to what a node sends; returns its depth."""
        signal = self.signals[planned.name]
        size = prod(planned.output_shape)
        self._append(f"{planned.name}:sink", Cell("FrameSink", planned.name), signal, size, size)
        return signal.depth

    def _sum(self, sources: list[Signal]) -> Signal:
        """Signals brought to one depth and added; an edge that comes twice gets a unit of its own."""
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
            cell = Cell("Align", steps, steps=steps)
            signal = Signal((unit,), depth, None)
            self.aligned[unit, steps] = self._append(
                f"{sender.name}:align{steps}", cell, signal, sender.outputs, sender.outputs
            )
        return self.aligned[unit, steps]

    def _copied(self, unit: int, depth: int) -> int:
        sender = self.units[unit]
        name = f"{sender.name}:copy{len(self.units)}"
        return self._append(name, Cell("Relay"), Signal((unit,), depth, None), sender.outputs, sender.outputs)

    def _relayed(self, signal: Signal, planned: PlannedNode) -> Signal:
        """The same values with the constant added in, for a Process that cannot add it itself."""
        size = prod(planned.input_shape)
        index = self._append(f"{planned.name}:bias", Cell("Relay"), signal, size, size)
        return Signal((index,), signal.depth, None)

    def _append(self, name: str, cell: Cell, signal: Signal, inputs: int, outputs: int) -> int:
        taken = {unit.name for unit in self.units}
        while name in taken:
            name += "'"
        self.units.append(Unit(name, cell, signal.units, signal.depth, signal.offset, inputs, outputs))
        return len(self.units) - 1
