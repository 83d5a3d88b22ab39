"""The two kinds of Process, one with ports and one on shared memory alone, and their models.

They stand apart from the Processes because Lava, where it looks for a model itself, executes every file beside those.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from nirbridge_lava.cell import Array
from nirbridge_lava.gate import Gate
from nirbridge_lava.running import Runner
from nirbridge_lava.shared import RUN, Block, SharedMemory
from nirbridge_lava.stages import Network, Stage


class StageProcess(AbstractProcess):
    """A Process that does one stage's work, with a flat input and a flat output.

    Args:
        stage: its stage.
        memory: the network's shared memory.
    """

    def __init__(self, stage: Stage, memory: SharedMemory) -> None:
        super().__init__(stage=stage, memory=memory, name=stage.name)
        self.a_in = InPort(shape=(stage.takes[0] * stage.takes[1],))
        self.s_out = OutPort(shape=(stage.sends[0] * stage.sends[1],))


class NetworkProcess(AbstractProcess):
    """A Process that does all stages' work, from shared memory to shared memory.

    Args:
        network: the network.
        memory: its shared memory.
    """

    def __init__(self, network: Network, memory: SharedMemory) -> None:
        super().__init__(stages=network.stages, memory=memory, name="graph")


class StageModel(PyLoihiProcessModel):
    """Works on the portions of a block, and sends zeros before and after them."""

    a_in: PyInPort
    s_out: PyOutPort
    dtype: type

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.stage: Stage = proc_params["stage"]
        self.memory: SharedMemory = proc_params["memory"]
        # Lava adds what several senders send.
        self.runner = Runner((replace(self.stage, senders=("received",)),), self.memory, self.dtype)
        self.silence: Array = np.zeros(self.stage.sends[0] * self.stage.sends[1], self.dtype)
        self.late = deque([self.silence] * self.stage.cell.latency)

    def run_spk(self) -> None:
        """One Lava step.  What is late anyway is sent first, so that its receivers need not wait for this step's."""
        if self.late:
            self.s_out.send(self.late.popleft())
        x = self.a_in.recv()
        block = self.memory.block
        inside = self.runner.enter(block, self.time_step - block.start - self.stage.depth)
        y = self.respond(x) if inside else self.silence
        if self.stage.cell.latency:
            self.late.append(y)
        else:
            self.s_out.send(y)

    def respond(self, x: Array) -> Array:
        """What it sends for what it receives."""
        steps, values = self.stage.takes
        sent = {"received": x.reshape(steps, 1, values)}
        self.runner.advance(sent)
        return sent[self.stage.name].reshape(-1)


class NetworkModel(PyLoihiProcessModel):
    """Takes all stages through the portions, as they come; a Lava step holds many.

    Nothing else takes part in Lava's time here, and to end one of its steps and begin the next passes through two
    more processes: that would cost as much as all nodes together.
    """

    dtype: type

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.memory: SharedMemory = proc_params["memory"]
        self.gate: Gate = proc_params["memory"].gate
        self.runner = Runner(proc_params["stages"], self.memory, self.dtype)
        self.block, self.index = Block(0, 0, 0, 1, 1, 0), 0

    def run_spk(self) -> None:
        """So many portions; before the first of a block it waits for the program."""
        for _ in range(self.gate.portions_in_a_step):
            self.index += 1
            if self.index >= self.block.portions:
                self._next_block()
            self.runner.enter(self.block, self.index)
            self.runner.advance({})
            if self.index == self.block.portions - 1:
                self.gate.report()

    def _next_block(self) -> None:
        """Waits for data; hands over states meanwhile, if asked to."""
        while True:
            self.gate.wait()
            self.block, self.index = self.memory.block, 0
            if self.block.task == RUN:
                return
            for index in range(self.block.portions):
                self.runner.enter(self.block, index)
            self.gate.report()


def define_process(name: str, what: str, process: type, model: type, namespace: dict[str, Any]) -> type:
    """A Process and its two models, ``Py{name}Float`` and ``Py{name}Fixed``, which are added to a file's namespace.

    Lava tells Processes apart by their class; ``models`` of the class holds its models by their tag.
    """
    module = {"__module__": namespace["__name__"]}
    defined = type(name, (process,), {**module, "__doc__": what, "models": {}})
    namespace[name] = defined
    for suffix, precision, dtype, number in (
        ("Float", "floating_pt", np.float64, float),
        ("Fixed", "fixed_pt", np.int64, int),
    ):
        ports = {"a_in": LavaPyType(PyInPort.VEC_DENSE, number), "s_out": LavaPyType(PyOutPort.VEC_DENSE, number)}
        members = {**module, **(ports if process is StageProcess else {}), "dtype": dtype, "__doc__": model.__doc__}
        made = implements(defined, LoihiProtocol)(
            requires(CPU)(tag(precision)(type(f"Py{name}{suffix}", (model,), members)))
        )
        namespace[made.__name__] = defined.models[precision] = made
    return defined
