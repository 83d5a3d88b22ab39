"""The Processes of an embedded network and their models: with or without a membrane to look at, in either precision.

Each has one model: Lava itself then refuses a RunConfig whose tag is another precision's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from nirbridge_lava.streaming import Streamed, Streamer

Shape = tuple[int, ...]


class Node(AbstractProcess):
    """A node of the graph, or what the wiring adds between nodes.

    Args:
        streamed: its work.
        takes: shape of ``a_in``.
        sends: shape of ``s_out``.
    """

    def __init__(self, streamed: Streamed, takes: Shape, sends: Shape) -> None:
        super().__init__(streamed=streamed, name=streamed.stage.name)
        self.a_in = InPort(shape=takes)
        self.s_out = OutPort(shape=sends)


class Neuron(Node):
    """A node with a membrane ``v``, after the reset."""

    def __init__(self, streamed: Streamed, takes: Shape, sends: Shape) -> None:
        super().__init__(streamed, takes, sends)
        cell = streamed.stage.cell
        self.v = Var(shape=sends, init=np.array(cell.start[cell.membrane]).reshape(sends))


class FloatNode(Node):
    """In double precision."""


class FloatNeuron(Neuron):
    """In double precision."""


class FixedNode(Node):
    """In integers."""


class FixedNeuron(Neuron):
    """In integers."""


class NodeModel(PyLoihiProcessModel):
    """Hands a :class:`~nirbridge_lava.streaming.Streamer` what the port brings."""

    a_in: PyInPort
    s_out: PyOutPort

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.streamer = Streamer(proc_params["streamed"])

    def run_spk(self) -> None:
        """One Lava step.  What is late anyway is sent first, so that its receivers need not wait for this step's."""
        due = self.streamer.due()
        if due is not None:
            self.s_out.send(due.reshape(self.s_out.shape))
        now = self.streamer.take(self.a_in.recv(), self.time_step)
        if now is not None:
            self.s_out.send(now.reshape(self.s_out.shape))


class NeuronModel(NodeModel):
    """The same, and shows the membrane."""

    v: Any

    def run_spk(self) -> None:
        """One Lava step."""
        super().run_spk()
        membrane = self.streamer.membrane()
        if membrane is not None:
            self.v[:] = membrane.reshape(self.v.shape)


@implements(proc=FloatNode, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFloatNode(NodeModel):
    """Ports of double precision."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


@implements(proc=FloatNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFloatNeuron(NeuronModel):
    """Ports and a membrane of double precision."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    v: Any = LavaPyType(np.ndarray, float)


@implements(proc=FixedNode, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedNode(NodeModel):
    """Ports of whole numbers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)


@implements(proc=FixedNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyFixedNeuron(NeuronModel):
    """Ports and a membrane of whole numbers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    v: Any = LavaPyType(np.ndarray, int)


NODES: dict[tuple[str, bool], type[Node]] = {
    ("floating_pt", False): FloatNode,
    ("floating_pt", True): FloatNeuron,
    ("fixed_pt", False): FixedNode,
    ("fixed_pt", True): FixedNeuron,
}
"""(tag, whether it has a membrane) → Process."""
