"""A stage that takes what comes by its port, step after step without end; it needs no Lava."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from nirbridge.errors import GraphWarning
from nirbridge_lava.cell import Array
from nirbridge_lava.running import Runner
from nirbridge_lava.shared import Block, SharedMemory
from nirbridge_lava.stages import Size, Stage

_RECEIVED = "received"


@dataclass(frozen=True)
class Streamed:
    """What one process of an embedded network does, and when.

    Attributes:
        stage: its work; where it reads from shared memory or keeps something there does not count.
        first: Lava step at which the first frame enters the network.
        restart: frames after which every state starts afresh; None for never.
        dtype: of all values.
        limit: largest magnitude that may come in; None for any.
        membrane: where in shared memory the stage's membrane is kept, and its size; None for a stage without one.
    """

    stage: Stage
    first: int
    restart: int | None
    dtype: type
    limit: int | None = None
    membrane: tuple[str, Size] | None = None


class Streamer:
    """Takes one stage through the steps of a run.

    Before the first frame has come so far a stage sends zeros and its state stays as it is: so biases and leaks count
    from the first frame on, as everywhere else.

    Args:
        streamed: the stage.
    """

    def __init__(self, streamed: Streamed) -> None:
        self.streamed = streamed
        stage = replace(streamed.stage, senders=(_RECEIVED,), reads=None, keeps=None)
        self._memory = SharedMemory(dict([streamed.membrane]) if streamed.membrane else {})
        self._runner = Runner((stage,), self._memory, streamed.dtype)
        self._silence = np.zeros(stage.sends[0] * stage.sends[1], streamed.dtype)
        self._late = deque([self._silence] * stage.cell.latency)
        self._began = False

    def due(self) -> Array | None:
        """What it sends at this step whatever it receives; None where that depends on it."""
        return self._late.popleft() if self.streamed.stage.cell.latency else None

    def take(self, x: Array, step: int) -> Array | None:
        """Works on what came at a Lava step; gives what it sends now, None where :meth:`due` has said it."""
        y = self._respond(x, step - self.streamed.first - self.streamed.stage.depth)
        if self.streamed.stage.cell.latency:
            self._late.append(y)
            return None
        return y

    def membrane(self) -> Array | None:
        """The membrane behind the last step, flat; None before the first, and of a stage without one."""
        if self.streamed.membrane is None or not self._began:
            return None
        return self._memory.slots(self.streamed.membrane[0], 1)[0, -1, 0]

    def _respond(self, x: Array, frame: int) -> Array:
        if frame < 0:
            return self._silence
        self._began = True
        self._require_within(x)
        epoch = frame // self.streamed.restart if self.streamed.restart else 0
        self._runner.enter(Block(0, 1, epoch, 1, 1, 0), 0)
        steps, values = self.streamed.stage.takes
        sent = {_RECEIVED: x.astype(self.streamed.dtype, copy=False).reshape(steps, 1, values)}
        self._runner.advance(sent)
        return sent[self.streamed.stage.name].reshape(-1)

    def _require_within(self, x: Array) -> None:
        """An error would hang Lava, so it is a warning.

        Warns:
            GraphWarning: what comes in is larger than sums of integers bear.
        """
        limit = self.streamed.limit
        if limit is not None and (found := int(np.abs(x).max(initial=0))) > limit:
            text = f"input {found} exceeds {limit}, up to which sums of integers are exact: results are wrong"
            where = f"process '{self.streamed.stage.name}'"
            warnings.warn(f"{where}: {text}. Send smaller integers.", GraphWarning, stacklevel=2)
