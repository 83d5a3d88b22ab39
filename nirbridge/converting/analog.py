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
from nirbridge.errors import ExportError
from nirbridge.exporting.builder import GraphBuilder, free_name
from nirbridge.exporting.interpreter import Interpreter
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal
from nirbridge.exporting.tracing import evaluation
from nirbridge.exporting.vocabulary import Vocabulary
from nirbridge.ir import Shape
from nirbridge.ir.stated_shapes import made_shape
from nirbridge.ir.topology import postorder

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
        return tuple(postorder([self.output], lambda name: reversed(self.incoming[name])))

    @cached_property
    def consumers(self) -> dict[str, tuple[str, ...]]:
        """The nodes that take each node's output."""
        found: dict[str, list[str]] = {name: [] for name in self.order}
        for name in self.order:
            for source in self.incoming[name]:
                found[source].append(name)
        return {name: tuple(users) for name, users in found.items()}

    @cached_property
    def last_read(self) -> dict[str, tuple[str, ...]]:
        """For each node those whose outputs nothing behind it takes any more, in order."""
        readers = {source: name for name in self.order for source in self.incoming[name]}
        found: dict[str, list[str]] = {name: [] for name in self.order}
        for source, reader in readers.items():
            found[reader].append(source)
        return {name: tuple(sources) for name, sources in found.items()}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """The output shape of every node, without batch."""
        shapes: dict[str, Shape] = {}
        for name in self.order:
            node = self.nodes[name]
            sources = self.incoming[name]
            entering = shapes[sources[0]] if sources else tuple(node.input_type["input"].tolist())
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

    def read_from(self, name: str, new: str) -> dict[str, tuple[str, ...]]:
        """The sources of all that takes ``name``, with ``new`` in its place."""
        return {user: tuple(new if s == name else s for s in self.incoming[user]) for user in self.consumers[name]}

    def inserted_behind(self, name: str, new: str, node: nir.NIRNode) -> AnalogGraph:
        """A copy in which all that takes ``name`` takes it through ``new``."""
        return self.changed({new: node}, {new: (name,), **self.read_from(name, new)})

    def free_name(self, wanted: str) -> str:
        """``wanted``, with a number where it is taken."""
        return free_name(wanted, self.nodes)


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
        ExportError: as :func:`trace`.
    """
    builder, finals = trace(module, shape)
    return AnalogGraph(dict(builder.nodes), dict(builder.incoming), finals)
