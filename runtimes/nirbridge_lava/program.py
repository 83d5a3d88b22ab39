"""A compiled graph on Lava."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from nirbridge.errors import UnsupportedError
from nirbridge.runtime import Array, Data, Plan, Program, membrane_of
from nirbridge.runtime.states import LINE, state_shapes
from nirbridge_lava.cell import Cell
from nirbridge_lava.engine import Engine, deadline_after
from nirbridge_lava.fixed_lowering import fixed_cells
from nirbridge_lava.lowering import float_cells
from nirbridge_lava.report import MODELS, LoweredNode, lowering_report
from nirbridge_lava.wiring import make_network

CELLS: dict[str, Callable[[Plan], dict[str, Cell | None]]] = {"float": float_cells, "fixed": fixed_cells}


class LavaProgram(Program):
    """The Lava Processes start with the first data, once it is known which nodes are recorded.

    A later call may record other nodes only from fresh states: then the processes are built anew.  One build serves
    every batch size: with one process a node each sample is a frame of its own in Lava's time, fused all go together.

    Args:
        plan: the plan; it has passed the runtime's check.
        precision: "float" or "fixed".
        mapping: "processes" or "fused"; None where the first data decide.
        timeout: seconds that a call may take, None for no limit.
    """

    records_membranes = True
    lives_in_forks = False

    def __init__(self, plan: Plan, precision: str, mapping: str | None, timeout: float | None) -> None:
        super().__init__(plan)
        self.precision = precision
        self._mapping = mapping
        self.timeout = timeout
        self.cells = CELLS[precision](plan)
        self._engine: Engine | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._restored: dict[str, Array] = {}

    @property
    def mapping(self) -> str:
        """ "processes" or "fused"; what it is, or what a run would make it."""
        return self._mapping or "processes"

    def step(self, frame: Data) -> Any:
        """One step, as in every program; one whose first data come this way is "fused" unless told otherwise."""
        if self._mapping is None and self._engine is None and self.plan.stepwise:
            self._mapping = "fused"
        return super().step(frame)

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        deadline = deadline_after(self.timeout)
        engine = self._engine_for(record)
        frames = {name: array.reshape(*array.shape[:2], -1) for name, array in data.items()}
        try:
            if self._restored:
                batch = next(iter(frames.values())).shape[1]
                engine.restore({name: _rows(name, array) for name, array in self._restored.items()}, batch, deadline)
                self._restored = {}
            results = engine.run(frames, deadline)
        except BaseException:
            self._end()
            raise
        return {name: self._shaped(name, results[name]) for name in (*self.lowered.outputs, *record)}

    def _shaped(self, name: str, values: Array) -> Array:
        shape = self._shapes.get(name)
        if shape is None:
            node = name if name in self.lowered.names else membrane_of(name) or name
            shape = self._shapes[name] = self.lowered[node].output_shape
        return values.reshape(*values.shape[:2], *shape)

    @property
    def lowering(self) -> tuple[LoweredNode, ...]:
        """What became of each node: its Lava Process, model, and what a message costs at a synapse."""
        return lowering_report(self.lowered, self.cells, self.mapping, self.precision)

    def _state(self) -> dict[str, Array]:
        if self._engine is None or self._restored:
            return self._restored
        assert self._batch is not None
        try:
            found = self._engine.states(self._batch, deadline_after(self.timeout))
        except BaseException:
            self._end()
            raise
        shapes = state_shapes(self.lowered, self._batch, self._integers)
        return {name: found[name].reshape(shape) for name, shape in shapes.items()}

    def _restore(self, arrays: dict[str, Array], batch: int) -> None:
        """The processes get them with the next data: only then is it known which nodes are recorded."""
        self._reset()
        self._restored = arrays

    def _reset(self) -> None:
        self._restored = {}
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
        self._mapping = self.mapping
        network = make_network(self.lowered, self.cells, record, self.mapping, MODELS[self.precision])
        self._engine = Engine(network)
        return self._engine


def _rows(name: str, array: Array) -> Array:
    """(rows, samples, values) of a state: a delay's has a row a step, any other is one row."""
    steps = array if name.endswith(f":{LINE}") else array[None]
    return steps.reshape(*steps.shape[:2], prod(steps.shape[2:]))
