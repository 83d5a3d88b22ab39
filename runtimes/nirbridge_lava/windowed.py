"""What all of nirbridge's Lava Processes share: flat ports, and a model that knows which frame a step brings.

It stands apart from the Processes because Lava's model discovery executes every file beside them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from numpy.typing import NDArray

from nirbridge_lava.network import Unit
from nirbridge_lava.shared import Board

Array = NDArray[Any]


class WindowedProcess(AbstractProcess):
    """A Process with one flat input and one flat output.

    Args:
        unit: what it is in the network.
        board: the network's shared memory.
    """

    def __init__(self, unit: Unit, board: Board) -> None:
        super().__init__(unit=unit, board=board, name=unit.name)
        self.a_in = InPort(shape=(unit.inputs,))
        self.s_out = OutPort(shape=(unit.outputs,))


class WindowedModel(PyLoihiProcessModel):
    """Works on the frames of a block and sends zeros before and after them.

    A subclass defines :meth:`respond`; one with a state keeps it for each sample of the batch.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.unit: Unit = proc_params["unit"]
        self.board: Board = proc_params["board"]
        self.parameters = self.unit.cell.parameters
        self.silence = np.zeros(self.unit.outputs)
        self.states: Array = np.empty(0)
        self.epoch = -1
        self.index = 0
        self.sample = 0

    def run_spk(self) -> None:
        """One Lava step."""
        x = self.receive()
        self.s_out.send(self.silence if x is None else self.respond(x))

    def receive(self) -> Array | None:
        """The frame of the block that this step brings, biases added; None before the first and after the last.

        Sets ``index``, the frame's place in the block, and ``sample``, whose state it moves.
        """
        x = self.a_in.recv()
        block = self.board.control
        self.index = self.time_step - block.start - self.unit.depth
        if not 0 <= self.index < block.frames:
            return None
        self.sample = (block.first + self.index) % block.batch
        if block.epoch != self.epoch:
            self.epoch = block.epoch
            self.restart(block.batch)
        return x if self.unit.offset is None else x + self.unit.offset

    def restart(self, batch: int) -> None:
        """Gives every sample of the batch the starting state."""
        start = self.unit.cell.start
        if start is not None:
            self.states = np.repeat(start[None], batch, axis=0)

    def respond(self, x: Array) -> Array:
        """What it sends for the frame ``x``."""
        raise NotImplementedError


class StatefulModel(WindowedModel):
    """A model whose ``advance`` is one of the pure steps of :mod:`nirbridge_lava.dynamics`."""

    @staticmethod
    def advance(parameters: Any, x: Array, state: Array, /) -> tuple[Array, Array]:
        """One step of one sample."""
        raise NotImplementedError

    def respond(self, x: Array) -> Array:
        """Output of one sample, whose state moves on."""
        y, self.states[self.sample] = self.advance(self.parameters, x, self.states[self.sample])
        return y


class StatelessModel(WindowedModel):
    """A model whose ``function`` is one of the pure functions of :mod:`nirbridge_lava.kernels`."""

    @staticmethod
    def function(parameters: Any, x: Array, /) -> Array:
        """Output for one frame."""
        raise NotImplementedError

    def respond(self, x: Array) -> Array:
        """Output for one frame."""
        return self.function(self.parameters, x)


class SynapseModel(StatelessModel):
    """A stateless function one step late, as every synapse on Loihi."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.buffer = self.silence

    def run_spk(self) -> None:
        """Sends what the last step brought, then takes in this step's input."""
        self.s_out.send(self.buffer)
        x = self.receive()
        self.buffer = self.silence if x is None else self.respond(x)
