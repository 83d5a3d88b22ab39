"""What a conversion gives: the graph, what each layer became, and what a reader should know about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
from torch import nn

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.coding import Code
from nirbridge.converting.markers import Array
from nirbridge.errors import Problem
from nirbridge.ir import PhaseIF, Shape, flatten


class ConversionWarning(UserWarning):
    """Something about a conversion that its user should look at; the text names the layer."""


@dataclass(frozen=True)
class Layer:
    """One spiking layer.

    Attributes:
        name: of the node in the graph.
        shape: of its neurons.
        scale: λ, the activation that 1.0 in the code stands for.
        base_in: Q of what it takes.
        base_out: Q of what it sends.
        code: of its spikes; None for qcfs.
        dead: channels that no calibration sample activated.
    """

    name: str
    shape: Shape
    scale: Array
    base_in: float
    base_out: float
    code: Code | None = None
    dead: int = 0


@dataclass(frozen=True)
class Latency:
    """Steps that N images take through L layers.

    Attributes:
        phases: T.
        wait: T_w.
        depth: L, spiking layers on the longest path.
    """

    phases: int
    wait: int
    depth: int

    def pipelined(self, images: int = 1) -> int:
        """N T + L T_w: an image enters every T steps, a layer begins T_w steps after the one before."""
        return images * self.phases + self.depth * self.wait

    def sequential(self, images: int = 1) -> int:
        """N (T + L T_w): an image enters when the one before has left."""
        return images * (self.phases + self.depth * self.wait)


@dataclass(frozen=True)
class Conversion:
    """A converted network.

    Attributes:
        graph: the spiking graph.
        method: "one-spike" or "qcfs".
        module: the analog network, unchanged; a float32 copy of one in half precision.
        analog: the analog network as a graph, arranged; None for qcfs.
        coded: the same with the weights and biases of the spiking graph; None for qcfs.
        transform: data → what the analog network takes.
        layers: the spiking layers in order.
        latency: steps through the network.
        notes: what to look at, each naming its layer.
        options: the options, with defaults filled in; of a base that the data chose, the median over the layers.
    """

    graph: nir.NIRGraph
    method: str
    module: nn.Module
    analog: AnalogGraph | None
    coded: AnalogGraph | None
    transform: Callable[[Array], Array]
    layers: tuple[Layer, ...]
    latency: Latency
    notes: tuple[Problem, ...]
    options: dict[str, Any]


def depth(graph: nir.NIRGraph, kind: type[nir.NIRNode] = PhaseIF) -> int:
    """Nodes of ``kind`` on the longest path along edges that close no cycle."""
    flat = flatten(graph)
    found: dict[str, int] = {}
    for name in flat.topology.order:
        before = max((found[source] for source in flat.forward_sources(name)), default=0)
        found[name] = before + (type(flat.nodes[name]) is kind)
    return max(found.values(), default=0)
