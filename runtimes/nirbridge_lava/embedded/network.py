"""The Process that holds a graph, and the model that hands Lava its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from nirbridge.runtime import Array
from nirbridge_lava.embedded.nodes import NODES, Node
from nirbridge_lava.ends import Ends
from nirbridge_lava.stages import Network, Stage, out_area
from nirbridge_lava.streaming import Streamed


class GraphProcess(AbstractProcess):
    """A graph as one Lava Process; made by :func:`nirbridge_lava.network`.

    Frame k of the input, which comes at Lava step ``first_step`` + k, leaves an output at ``first_step`` + k +
    ``latency`` of that output's name.

    Args:
        name: of the Process.
        network: what it holds.
        ends: the graph's inputs and outputs.
        first_step: Lava step at which the first frame comes in.
        restart: frames after which all states start afresh, None for never.

    Attributes:
        inp: the port of the only input; of several see ``inputs``.
        out: the port of the only output; of several see ``outputs``.
        inputs: the ports by the name of their node, each of the node's shape.
        outputs: likewise.
        layers: the Process of each node that has one, by the node's name, with ports ``a_in`` and ``s_out`` and, of a
            neuron outside of cycles, its membrane ``v``.  A bias is added by who receives what a synapse sends.
        latency: Lava steps by which each of these nodes, and each output, is late with what it sends.
        ends: what integers the ports carry.
        tag: what the RunConfig has to select, "floating_pt" or "fixed_pt".
        first_step: as given.
    """

    def __init__(self, name: str, network: Network, ends: Ends, first_step: int, restart: int | None) -> None:
        super().__init__(name=name)
        self.ends, self.tag, self.first_step = ends, network.model, first_step
        dtype = np.float64 if network.model == "floating_pt" else np.int64
        built: dict[str, Node] = {}
        for stage in network.stages:
            membrane = _membrane(stage, network)
            limit = ends.limit if stage.reads else None
            streamed = Streamed(stage, first_step, restart, dtype, limit, membrane)
            takes, sends = ends.shapes(stage)
            built[stage.name] = NODES[network.model, membrane is not None](streamed, takes, sends)
        _connect(network, built)
        self.stages = tuple(built.values())
        self.layers = {name: built[name] for name in ends.nodes if name in built}
        depths = {stage.name: stage.depth + stage.cell.latency for stage in network.stages}
        kept = {stage.keeps: stage.name for stage in network.stages}
        self.latency = {name: depths[name] for name in self.layers}
        self.inputs = {shown: self._port("inp", shown, built[name], ends.inputs) for shown, name in ends.inputs.items()}
        sinks = {name: kept[out_area(name)] for name in ends.outputs}
        self.outputs = {name: self._port("out", name, built[sink], ends.outputs) for name, sink in sinks.items()}
        self.latency |= {name: depths[sink] for name, sink in sinks.items()}

    def _port(self, kind: str, name: str, node: Node, among: Mapping[str, Any]) -> InPort | OutPort:
        """The port of an end, connected; Lava finds ports among the attributes."""
        port: InPort | OutPort
        if kind == "inp":
            port = InPort(shape=node.a_in.shape)
            port.connect(node.a_in)
        else:
            port = OutPort(shape=node.s_out.shape)
            node.s_out.connect(port)
        setattr(self, kind if len(among) == 1 else f"{kind}_{name}", port)
        return port

    def to_integers(self, data: Array, name: str | None = None) -> Array:
        """The integers that a port takes for the data [..., *shape] of the graph's input, see ``Ends``."""
        return self.ends.to_integers(data, name)

    def in_units(self, values: Array, name: str | None = None) -> Array:
        """What the graph's output says for the values [..., *shape] that a port gave, see ``Ends``."""
        return self.ends.in_units(values, name)


@implements(proc=GraphProcess, protocol=LoihiProtocol)
class GraphModel(AbstractSubProcessModel):
    """The layers, which Lava finds among the attributes."""

    def __init__(self, proc: Any) -> None:
        for number, process in enumerate(proc.stages):
            setattr(self, f"stage{number:05}", process)


def _membrane(stage: Stage, network: Network) -> tuple[str, tuple[int, int]] | None:
    """The area and size of the membrane of a neuron; of a cycle, which has several, none."""
    area = out_area(f"{stage.name}:v")
    return (area, network.areas[area]) if area in stage.membranes and stage.cell.behave is not None else None


def _connect(network: Network, built: Mapping[str, Node]) -> None:
    for stage in network.stages:
        for sender in stage.senders:
            built[sender].s_out.connect(built[stage.name].a_in)
