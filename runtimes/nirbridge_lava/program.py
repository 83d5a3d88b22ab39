"""A compiled graph on Lava."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from nirbridge.errors import UnsupportedError
from nirbridge.runtime import Plan, Program
from nirbridge_lava.engine import Engine, deadline_after
from nirbridge_lava.network import make_network

Array = NDArray[Any]


class LavaProgram(Program):
    """The Lava Processes start with the first data, once it is known which nodes are recorded.

    A later call may record other nodes only from fresh states: then the processes are built anew.  Each batch sample
    is a frame of its own in Lava's time, so one build serves every batch size.

    Args:
        plan: the plan; it has passed the runtime's check.
        timeout: seconds that a call may take, None for no limit.
    """

    def __init__(self, plan: Plan, timeout: float | None = None) -> None:
        super().__init__(plan)
        self.timeout = timeout
        self._engine: Engine | None = None

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        deadline = deadline_after(self.timeout)
        engine = self._engine_for(record)
        steps, batch = next(iter(data.values())).shape[:2]
        frames = {name: array.reshape(steps * batch, -1) for name, array in data.items()}
        try:
            results = engine.run(frames, batch, deadline)
        except BaseException:
            self.close()
            raise
        return {
            name: results[name].reshape(steps, batch, *self.plan[name].output_shape)
            for name in (*self.plan.outputs, *record)
        }

    def _reset(self) -> None:
        if self._engine is not None:
            self._engine.reset()

    def _close(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _engine_for(self, record: tuple[str, ...]) -> Engine:
        """An engine that keeps what these nodes send."""
        kept = () if self._engine is None else self._engine.network.sinks
        missing = [name for name in record if name not in kept]
        if self._engine is not None and not missing:
            return self._engine
        if self._engine is not None and not self._engine.fresh:
            found = (
                "is not among the nodes recorded since the last reset, and Lava cannot add one in the middle of a run"
            )
            raise UnsupportedError(
                f"record '{missing[0]}'", found, "Call reset first, or record it from the first step"
            )
        self._close()
        self._engine = Engine(make_network(self.plan, record))
        return self._engine
