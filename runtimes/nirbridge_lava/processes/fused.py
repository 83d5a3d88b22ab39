"""Processes that hold several nodes: a whole graph, or the nodes of one cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge_lava.circuit import Executor, Memory, tapped
from nirbridge_lava.gate import Gate
from nirbridge_lava.network import in_area, out_area
from nirbridge_lava.shared import Control
from nirbridge_lava.windowed import (
    IntegerPorts,
    Integers,
    PortionModel,
    PortlessProcess,
    WindowedModel,
    WindowedProcess,
    fixed_pt,
    floating_pt,
)

Array = NDArray[Any]


class FusedGraph(PortlessProcess):
    """A whole graph; a portion holds one step of the data, of all samples at once, and a Lava step many portions.

    Nothing else takes part in Lava's time here, and to end one of its steps and begin the next passes through two
    more processes: that would cost as much as all nodes together.
    """


class _FusedGraphModel(PortionModel):
    """Takes all nodes through the portions, as they come."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.executor = Executor(self.parameters.circuit.parts, self.board.beat, self.parameters.membranes)
        self.inputs = [(name, in_area(name)) for name in self.parameters.inputs]
        self.sinks = [(out_area(name), self.parameters.circuit.taps[name]) for name in self.parameters.sinks]
        self.memories: list[Memory] = []
        self.gate: Gate = proc_params["board"].gate
        self.block = Control(0, 0, 0, 1, 1, 0)

    def restart(self, parts: int) -> None:
        """Fresh states for every part of the batch."""
        self.memories = [self.executor.fresh(self.samples) for _ in range(parts)]

    def run_spk(self) -> None:
        """So many portions; before the first of a block it waits for the program."""
        for _ in range(self.gate.portions_in_a_step):
            self.index += 1
            if self.index >= self.block.portions:
                self.gate.wait()
                self.block, self.index = self.board.control, 0
            self.enter(self.block)
            self.take_portion()
            if self.index == self.block.portions - 1:
                self.gate.report()

    def take_portion(self) -> None:
        """All nodes, from shared memory to shared memory."""
        values = {area: self.fetch(place) for area, place in self.inputs}
        membranes = self.executor.advance(values, self.memories[self.part])
        for node, area in self.parameters.membranes.items():
            self.keep(area, membranes[node])
        for area, tap in self.sinks:
            self.keep(area, tapped(tap, values))
        self.board.beat()


@floating_pt(FusedGraph)
class PyFusedGraphFloat(_FusedGraphModel):
    """Double precision."""


@fixed_pt(FusedGraph)
class PyFusedGraphFixed(Integers, _FusedGraphModel):
    """Integers."""


class Cycle(WindowedProcess):
    """The nodes of one cycle, whose edges must take exactly one step of the data."""


class _CycleModel(WindowedModel):
    """Takes the nodes of the cycle through the portion."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.executor = Executor((self.parameters.loop,), self.board.beat, self.parameters.membranes)

    def restart(self, parts: int) -> None:
        """Fresh states for every sample."""
        self.states = [self.executor.fresh(1) for _ in range(parts)]

    def respond(self, x: Array) -> Array:
        """What all nodes of the cycle send, side by side."""
        values = {name: x[..., where] for name, where in self.parameters.inputs.items()}
        membranes = self.executor.advance(values, self.states[self.part])
        for node, area in self.parameters.membranes.items():
            self.keep(area, membranes[node])
        return np.concatenate([values[name] for name in self.parameters.outputs], axis=-1)


@floating_pt(Cycle)
class PyCycleFloat(_CycleModel):
    """Double precision."""


@fixed_pt(Cycle)
class PyCycleFixed(IntegerPorts, _CycleModel):
    """Integers."""
