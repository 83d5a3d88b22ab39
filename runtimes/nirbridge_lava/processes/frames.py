"""Processes that move frames: in, out, and past the depth of another branch."""

from __future__ import annotations

from collections import deque
from typing import Any

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from nirbridge_lava.windowed import WindowedModel, WindowedProcess


class FrameSource(WindowedProcess):
    """Sends the frames of the block, one a step."""


@implements(proc=FrameSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFrameSourceFloat(WindowedModel):
    """Reads shared memory."""

    def run_spk(self) -> None:
        """One frame, or zeros outside of the block."""
        block = self.board.control
        self.board.progress = self.time_step
        index = self.time_step - block.start
        inside = 0 <= index < block.frames
        self.s_out.send(self.board.frames[self.unit.name][index] if inside else self.silence)


class FrameSink(WindowedProcess):
    """Keeps what one node sends for the frames of the block."""


@implements(proc=FrameSink, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyFrameSinkFloat(WindowedModel):
    """Writes shared memory."""

    def run_spk(self) -> None:
        """One frame."""
        x = self.receive()
        if x is not None:
            self.board.frames[self.unit.name][self.index] = x


class Align(WindowedProcess):
    """The input some Lava steps later, so that branches of different depth meet at the same frame."""


@implements(proc=Align, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyAlignFloat(WindowedModel):
    """A queue of frames."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.queue: deque[NDArray[Any]] = deque([self.silence] * self.parameters)

    def run_spk(self) -> None:
        """Sends the oldest frame and keeps the new one."""
        self.s_out.send(self.queue.popleft())
        self.queue.append(self.a_in.recv())


class Relay(WindowedProcess):
    """The input with a constant added, in the same step."""


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRelayFloat(WindowedModel):
    """Double precision."""

    def respond(self, x: NDArray[Any]) -> NDArray[Any]:
        """The frame itself."""
        return x
