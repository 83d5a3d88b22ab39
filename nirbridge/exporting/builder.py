"""Collects the nodes and edges of the graph to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from typing import Any

import nir
import numpy as np
import torch
from torch import nn

from nirbridge.errors import Problem
from nirbridge.exporting.paths import Paths
from nirbridge.exporting.settling import Moved, nodes_for
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal
from nirbridge.ir import Shape, build_graph, mark_moves
from nirbridge.ir.stated_shapes import made_shape
from nirbridge.ir.topology import reached
from nirbridge.primitives.shaping import ShapeMismatchError


def free_name(wanted: str, taken: Container[str]) -> str:
    """``wanted``, with a number where it is taken."""
    name, number = wanted, 0
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


class GraphBuilder:
    """The graph of a module while it grows.

    Attributes:
        dt: seconds per step, for neurons with time constants.
        dtype: dtype of constants that the module's code brings along as plain numbers.
        problems: what was refused so far, with whether another reading of the leading axes might do.
        settled: moved signals by identity, with what their nodes send.
        cells: names of the cells so far that take one step and hand on their state.
        called: names of the neurons so far that keep their state themselves.
        modules: paths of modules, whose names nothing else takes: functions, and further calls of other modules.
        changes: whether the code was seen to do something else when it is called again.
        paths: the instructions of the user's code that ran while it was recorded.
        left_out: the network's arguments that were None, and for which no state of a cell stands in the graph.
        batch_first: whether data are [B, T, ...], so that folded axes unfold to that.
        over: what the leading axes of a neuron's input have to be, where the code settles it: our own neurons outside
            of OverTime run over axis 0, inside of it they unfold it.
    """

    def __init__(self, dt: float, module: nn.Module) -> None:
        tensors = (*module.parameters(), *module.buffers())
        self.dt = dt
        self.dtype: Any = np.float64 if any(tensor.dtype is torch.float64 for tensor in tensors) else np.float32
        self._taken = {name for name, _ in module.named_modules()}
        self.problems: list[tuple[Problem, bool]] = []
        self.settled: dict[int, tuple[Signal, Signal]] = {}
        self.cells: list[str] = []
        self.called: set[str] = set()
        self.modules: set[str] = set()
        self.changes = False
        self.paths: Paths = {}
        self.left_out: list[str] = []
        self.batch_first = False
        self.over: LeadingAxes | None = None
        self.nodes: dict[str, nir.NIRNode] = {}
        self.incoming: dict[str, tuple[str, ...]] = {}
        self._shapes: dict[str, Shape] = {}
        self._preferred: dict[str, str] = {}

    def refuse(self, where: str, refusal: RefusalError) -> None:
        """Notes a problem, once."""
        problem = Problem(where, refusal.found, refusal.next_step)
        if all(problem != known for known, _ in self.problems):
            self.problems.append((problem, refusal.leading))

    def add_input(self, name: str, node: nir.NIRNode, shape: Shape, leading: LeadingAxes) -> Signal:
        """A node through which data enter."""
        return self._enter(self._boundary(name), node, (), shape, leading)

    def add_output(self, name: str, signal: Signal) -> None:
        """A node through which ``signal`` leaves."""
        signal = self.settle(signal)
        node = nir.Output(output_type={"output": np.array(signal.shape, dtype=np.int64)})
        self._enter(self._boundary(name), node, signal.sources, signal.shape, signal.leading)

    def _boundary(self, name: str) -> str:
        """A boundary's name gives way to a module's."""
        return f"graph_{name}" if name in self._taken else name

    def add(self, name: str, node: nir.NIRNode, signal: Signal) -> Signal:
        """A node that takes ``signal``; its name gets a number where it is taken.

        Raises:
            RefusalError: the node does not take a signal of this shape.
        """
        try:
            shape = made_shape(node, signal.shape)
        except ShapeMismatchError as error:
            raise RefusalError(str(error), "Check the input shape and the layers before") from None
        return self._enter(name, node, signal.sources, shape, signal.leading)

    def replace(self, name: str, old: str, node: nir.NIRNode, leading: LeadingAxes) -> Signal:
        """A node with the inputs and the output shape of ``old``, whose name it takes if nothing else uses ``old``."""
        signal = self._enter(name, node, self.incoming[old], self._shapes[old], leading)
        self._preferred[signal.sources[0]] = self._preferred.get(old, old)
        return signal

    def close_cycle(self, name: str, signal: Signal) -> None:
        """Lets ``signal``, which depends on the node ``name``, enter it as well."""
        self.incoming[name] += self.settle(signal).sources

    def sender(self, signal: Signal) -> nir.NIRNode | None:
        """The one node whose very output ``signal`` is, None for a sum or a signal of another shape."""
        (*others, name) = signal.sources
        return self.nodes[name] if not others and self._shapes[name] == signal.shape else None

    def settle(self, signal: Signal) -> Signal:
        """The signal itself, or the nodes that move its values; once for each.

        Raises:
            RefusalError: no nodes do.
        """
        if not isinstance(signal, Moved):
            return signal
        if id(signal) not in self.settled:
            nodes = nodes_for(signal.base.shape, signal.places, self.dtype)
            if nodes is None:
                found = f"'{signal.name}' {signal.what}, {signal.base.shape} to {signal.shape}, which no node does"
                raise RefusalError(found, "Keep features in order, or take whole channels and merge neighbouring axes")
            settled = signal.base
            for node in nodes:
                settled = self.add(signal.name, mark_moves(node), settled)
            self.settled[id(signal)] = (signal, settled)
        return self.settled[id(signal)][1]

    def total(self, name: str, left: Signal, right: Signal) -> Signal:
        """The sum of two signals: both sets of edges; a sender that stands in both gets a factor of its own."""
        if left.shape != right.shape or left.leading is not right.leading:
            found = f"adds {_text(left)} and {_text(right)}; edges that add up bring equal shapes, without broadcasting"
            raise RefusalError(found, "Bring both to one shape first")
        if set(left.sources) & set(right.sources):
            same = left.sources == right.sources
            factor = nir.Scale(np.full(right.shape, 2 if same else 1, dtype=self.dtype))
            right = self.add(name, factor, right)
            if same:
                return right
        return Signal(left.sources + right.sources, left.shape, left.leading)

    def graph(self, metadata: dict[str, Any]) -> nir.NIRGraph:
        """The graph of all nodes that lead to an output, and of all inputs.

        Raises:
            GraphError: shapes do not fit.
        """
        kept = self._needed()
        wanted = Counter(self._preferred[name] for name in kept if name in self._preferred)
        names = {name: name for name in kept}
        for name, preferred in self._preferred.items():
            if name in kept and preferred not in kept and wanted[preferred] == 1:
                names[name] = preferred
        nodes = {names[name]: node for name, node in self.nodes.items() if name in kept}
        edges = [(names[source], names[name]) for name in kept for source in self.incoming[name]]
        graph = build_graph(nodes, edges)
        graph.metadata = metadata
        return graph

    def _needed(self) -> dict[str, None]:
        outputs = (name for name, node in self.nodes.items() if type(node) is nir.Output)
        needed = reached(outputs, self.incoming.__getitem__)
        return {name: None for name in self.nodes if name in needed or not self.incoming[name]}

    def _enter(
        self, name: str, node: nir.NIRNode, sources: Iterable[str], shape: Shape, leading: LeadingAxes
    ) -> Signal:
        base = name.replace("/", "_").replace("\0", "_") or type(node).__name__.lower()
        unique = free_name(base, self.nodes.keys() | self.modules) if base in self.nodes else base
        self.nodes[unique] = node
        self.incoming[unique] = tuple(sources)
        self._shapes[unique] = shape
        return Signal((unique,), shape, leading)


def _text(signal: Signal) -> str:
    return f"{signal.shape} of {signal.leading.text}"
