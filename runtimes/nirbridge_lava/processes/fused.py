"""Processes that hold several nodes: a whole graph, or the nodes of one cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge_lava.circuit import Executor, Memory, tapped
from nirbridge_lava.gate import Gate
from nirbridge_lava.network import in_area, out_area
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
    """A whole graph; one Lava step is one step of the data, for all samples at once."""


class _FusedGraphModel(PortionModel):
    """Takes all nodes through the portion."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.executor = Executor(
            self.parameters.circuit.parts, self.behaviours, self.board.beat, self.parameters.membranes
        )
        self.memories: list[Memory] = []
        self.gate: Gate = proc_params["board"].gate
        self.released = 0

    def restart(self, parts: int) -> None:
        """Fresh states for every part of the batch."""
        self.memories = [self.executor.fresh(self.samples) for _ in range(parts)]

    def run_spk(self) -> None:
        """One portion; before the first of a block it waits for the program."""
        if self.time_step > self.released:
            self.gate.wait()
            block = self.board.control
            self.released = block.start + block.portions - 1
        self.locate()
        values = {name: self.fetch(in_area(name)) for name in self.parameters.inputs}
        membranes = self.executor.advance(values, self.memories[self.part])
        for node, area in self.parameters.membranes.items():
            self.keep(area, membranes[node])
        for name in self.parameters.sinks:
            self.keep(out_area(name), tapped(self.parameters.circuit.taps[name], values))
        self.board.beat()
        if self.time_step == self.released:
            self.gate.report()


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
        self.executor = Executor((self.parameters.loop,), self.behaviours, self.board.beat, self.parameters.membranes)

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
