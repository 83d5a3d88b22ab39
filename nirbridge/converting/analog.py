"""An analog network as a graph: what a torch module computes, before anything of it spikes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.converting.activations import Final, without_finals
from nirbridge.converting.finite import require_finite
from nirbridge.converting.vocabulary import ANALOG
from nirbridge.errors import ExportError, Problem
from nirbridge.exporting.builder import GraphBuilder, free_name
from nirbridge.exporting.interpreter import Interpreter
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal
from nirbridge.exporting.tracing import evaluation
from nirbridge.exporting.vocabulary import Vocabulary
from nirbridge.ir import Shape
from nirbridge.ir.stated_shapes import made_shape

INPUT, OUTPUT = "input", "output"
Ends = Callable[[GraphBuilder, Signal], Signal]


@dataclass(frozen=True)
class AnalogGraph:
    """Nodes by name and, for each, the nodes whose values add up at its input.  Functions return new graphs.

    Attributes:
        nodes: by name.
        incoming: the sources of each.
        finals: the network's activations behind the output.
    """

    nodes: Mapping[str, nir.NIRNode]
    incoming: Mapping[str, tuple[str, ...]]
    finals: tuple[Final, ...] = ()

    @cached_property
    def input(self) -> str:
        """Name of the node through which data enter."""
        return next(name for name, node in self.nodes.items() if type(node) is nir.Input)

    @cached_property
    def output(self) -> str:
        """Name of the node through which data leave."""
        return next(name for name, node in self.nodes.items() if type(node) is nir.Output)

    @cached_property
    def order(self) -> tuple[str, ...]:
        """The nodes that lead to the output, each behind all that it depends on."""
        done: dict[str, None] = {}
        pending = [self.output]
        while pending:
            name = pending[-1]
            missing = [source for source in self.incoming[name] if source not in done]
            if missing:
                pending.extend(missing)
            else:
                done.setdefault(name)
                pending.pop()
        return tuple(done)

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """The nodes that take each node's output."""
        found: dict[str, list[str]] = {name: [] for name in self.order}
        for name in self.order:
            for source in self.incoming[name]:
                found[source].append(name)
        return {name: tuple(users) for name, users in found.items()}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The output shape of every node, without batch."""
        shapes: dict[str, Shape] = {}
        for name in self.order:
            node = self.nodes[name]
            entering = shapes[self.incoming[name][0]] if self.incoming[name] else _stated(node)
            shapes[name] = made_shape(node, entering)
        return shapes

    def of_type(self, *kinds: type[nir.NIRNode]) -> list[str]:
        """Names of the nodes of exactly these types, in order."""
        return [name for name in self.order if type(self.nodes[name]) in kinds]

    def changed(
        self, nodes: Mapping[str, nir.NIRNode], incoming: Mapping[str, tuple[str, ...]] | None = None
    ) -> AnalogGraph:
        """A copy with some nodes and edges replaced or added."""
        return AnalogGraph({**self.nodes, **nodes}, {**self.incoming, **(incoming or {})}, self.finals)

    def inserted_behind(self, name: str, new: str, node: nir.NIRNode, users: tuple[str, ...]) -> AnalogGraph:
        """A copy in which ``users`` take ``name`` through ``new``."""
        moved = {user: tuple(new if source == name else source for source in self.incoming[user]) for user in users}
        return self.changed({new: node}, {new: (name,), **moved})

    def free_name(self, wanted: str) -> str:
        """``wanted``, with a number where it is taken."""
        return free_name(wanted, self.nodes)


def _stated(node: nir.NIRNode) -> Shape:
    return tuple(int(n) for n in node.input_type["input"])


def trace(
    module: nn.Module,
    shape: Shape,
    vocabulary: Vocabulary = ANALOG,
    enter: Ends | None = None,
    leave: Ends | None = None,
) -> tuple[GraphBuilder, tuple[Final, ...]]:
    """What ``module`` does with [B, *shape], lowered into a builder, and the activations behind its output.

    Args:
        module: the network.
        shape: of one sample.
        vocabulary: what is lowered.
        enter: what happens to the input first.
        leave: what happens to the result last.

    Raises:
        ExportError: the module holds something that conversion does not know, or values that are not finite; all
            such places are listed.
    """
    builder = GraphBuilder(1e-3, module)
    node = nir.Input({"input": np.array(shape, dtype=np.int64)})
    signal = builder.add_input(INPUT, node, shape, LeadingAxes.FOLDED)
    signal = enter(builder, signal) if enter else signal
    with evaluation(module):
        result: Any = Interpreter(builder, vocabulary).call_module(module, "", (signal,), {})
    finals: tuple[Final, ...] = ()
    if isinstance(result, Signal):
        try:
            result, finals = without_finals(builder, builder.settle(result))
            result = leave(builder, result) if leave else result
            builder.add_output(OUTPUT, result)
        except RefusalError as refusal:
            builder.refuse(f"module {type(module).__name__}", refusal)
    elif not builder.problems:
        found = f"returns a {type(result).__name__}, not one tensor that depends on the input"
        builder.refuse(f"module {type(module).__name__}", RefusalError(found, "Return the logits alone"))
    if builder.problems:
        raise ExportError.from_problems([problem for problem, _ in builder.problems])
    require_finite(module, builder.nodes)
    return builder, finals


def analog_graph(module: nn.Module, shape: Shape) -> AnalogGraph:
    """The analog graph of ``module`` on [B, *shape].

    Raises:
        ExportError: as :func:`trace`, or the output does not depend on the input.
    """
    builder, finals = trace(module, shape)
    graph = AnalogGraph(dict(builder.nodes), dict(builder.incoming), finals)
    if graph.input not in graph.order:
        problem = Problem(f"module {type(module).__name__}", "its output does not depend on the input")
        raise ExportError.from_problems([problem])
    return graph
