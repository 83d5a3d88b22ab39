"""What all of nirbridge's Lava Processes share: flat ports, and a model that knows which frame a step brings.

It stands apart from the Processes because Lava's model discovery executes every file beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from nirbridge_lava.network import Unit
from nirbridge_lava.shared import Board, Control

Array = NDArray[Any]
Model = TypeVar("Model", bound=type)


class PortlessProcess(AbstractProcess):
    """A Process that works on the shared memory alone.

    Args:
        unit: what it is in the network.
        board: the network's shared memory.
    """

    def __init__(self, unit: Unit, board: Board) -> None:
        super().__init__(unit=unit, board=board, name=unit.name)


class WindowedProcess(PortlessProcess):
    """A Process with one flat input and one flat output."""

    def __init__(self, unit: Unit, board: Board) -> None:
        super().__init__(unit, board)
        self.a_in = InPort(shape=(unit.inputs.steps * unit.inputs.values,))
        self.s_out = OutPort(shape=(unit.outputs.steps * unit.outputs.values,))


def floating_pt(process: type[AbstractProcess]) -> Callable[[Model], Model]:
    """Decorator: the model of ``process`` in double precision."""
    return _models(process, "floating_pt")


def fixed_pt(process: type[AbstractProcess]) -> Callable[[Model], Model]:
    """Decorator: the model of ``process`` on integers."""
    return _models(process, "fixed_pt")


def _models(process: type[AbstractProcess], precision: str) -> Callable[[Model], Model]:
    def decorate(model: Model) -> Model:
        decorated: Model = implements(process, LoihiProtocol)(requires(CPU)(tag(precision)(model)))
        return decorated

    return decorate


class PortionModel(PyLoihiProcessModel):
    """Knows which portion of the block a Lava step brings, and whose states it moves."""

    dtype: type = np.float64

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.unit: Unit = proc_params["unit"]
        self.board: Board = proc_params["board"]
        self.parameters = self.unit.cell.parameters
        self.epoch = -1
        self.index = 0
        self.part = 0
        self.samples = 1

    def locate(self) -> bool:
        """Whether this step brings a portion; sets ``index``, its place in the block, and ``part`` of the batch."""
        block = self.board.control
        self.index = self.time_step - block.start - self.unit.depth
        if not 0 <= self.index < block.portions:
            return False
        self.enter(block)
        return True

    def enter(self, block: Control) -> None:
        """Finds the part of the batch, and starts afresh behind a reset."""
        self.part = (block.first + self.index) % block.parts
        if block.epoch != self.epoch:
            self.epoch, self.samples = block.epoch, block.samples
            self.restart(block.parts)

    def restart(self, parts: int) -> None:
        """Gives every part of the batch the starting state."""

    def fetch(self, area: str) -> Array:
        """The portion's frames in shared memory, (steps, samples, values)."""
        return self.board.slots(area, self.samples)[self.index].astype(self.dtype)

    def keep(self, area: str, values: Array) -> None:
        """Writes the portion's frames to shared memory."""
        self.board.slots(area, self.samples)[self.index] = values


class WindowedModel(PortionModel):
    """Works on the portions of a block and sends zeros before and after them.

    A subclass defines :meth:`respond`; by default it is the behaviour of the unit's cell.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.silence: Array = np.zeros(self.unit.outputs.steps * self.unit.outputs.values, dtype=self.dtype)
        self.states: list[Any] = []

    def run_spk(self) -> None:
        """One Lava step."""
        x = self.receive()
        self.s_out.send(self.silence if x is None else self.respond(x).reshape(-1))

    def receive(self) -> Array | None:
        """The (steps, 1, values) that this Lava step brings, biases added; None before the first and after the last."""
        x = self.a_in.recv()
        if not self.locate():
            return None
        x = x.reshape(self.unit.inputs.steps, 1, self.unit.inputs.values)
        return x if self.unit.offset is None else x + self.unit.offset

    def restart(self, parts: int) -> None:
        """Gives every sample of the batch the starting state."""
        self.states = [self.unit.cell.fresh(1) for _ in range(parts)]

    def respond(self, x: Array) -> Array:
        """What it sends; the state of the sample moves on."""
        cell = self.unit.cell
        assert cell.behave is not None
        membranes: list[Array] | None = None if self.unit.membrane is None else []
        y, self.states[self.part] = cell.behave(cell, x, self.states[self.part], membranes)
        if membranes is not None and self.unit.membrane is not None:
            self.keep(self.unit.membrane, np.stack(membranes))
        return y


class SynapseModel(WindowedModel):
    """The same one Lava step late, as every synapse on Loihi."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.buffer = self.silence

    def run_spk(self) -> None:
        """Sends what the last step brought, then takes in this step's input."""
        self.s_out.send(self.buffer)
        x = self.receive()
        self.buffer = self.silence if x is None else self.respond(x).reshape(-1)


class Integers:
    """Put in front of a model class, makes it one on integers."""

    dtype: type = np.int64


class IntegerPorts(Integers):
    """The same for a model with ports."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)


class FixedModel(IntegerPorts, WindowedModel):
    """A :class:`WindowedModel` on integers."""


class FixedSynapseModel(IntegerPorts, SynapseModel):
    """A :class:`SynapseModel` on integers."""


def define_process(namespace: dict[str, Any], name: str, what: str, real: type, integer: type) -> None:
    """Adds the Process ``name`` and its two models, ``Py{name}Float`` and ``Py{name}Fixed``, to a file's namespace."""
    module = {"__module__": namespace["__name__"]}
    process = type(name, (WindowedProcess,), {**module, "__doc__": what})
    namespace[name] = process
    for precision, base, decorate in (("Float", real, floating_pt), ("Fixed", integer, fixed_pt)):
        model = f"Py{name}{precision}"
        namespace[model] = decorate(process)(type(model, (base,), {**module, "__doc__": base.__doc__}))
