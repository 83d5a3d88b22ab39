"""Runs a plan: stateless and stateful nodes alike, one step after the other."""

from __future__ import annotations

import numpy as np

from nirbridge.runtime import Array, LoweringTable, Plan, PlannedNode, Program, membrane_of
from nirbridge.runtime.states import SENT, late_names
from nirbridge_reference.lowering import Lowering
from nirbridge_reference.stages import Stage


class ReferenceProgram(Program):
    """One :class:`Stage` per node; the states live in the stages.

    Args:
        plan: the plan.
        lowering: node type → stage, in the arithmetic of ``dtype``.
        dtype: of all values, float64 or int64.
    """

    records_membranes = True
    holds_all = True

    def __init__(self, plan: Plan, lowering: LoweringTable[Lowering], dtype: type[np.generic]) -> None:
        super().__init__(plan)
        self._lowering = lowering
        self._dtype = dtype
        self._stages: dict[str, Stage] = {}
        self._late: dict[str, Array] = {}

    def _reset(self) -> None:
        self._stages = {}
        self._late = {}

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        batch = next(iter(data.values())).shape[1]
        if not self._stages:
            self._stages = self._fresh(batch)
        neurons = {name: node for name in record if name not in self.lowered.names and (node := membrane_of(name))}
        for name, stage in self._stages.items():
            stage.membranes = [] if name in neurons.values() else None
        values = {name: np.asarray(array).astype(self._dtype) for name, array in data.items()}
        for segment in self.lowered.segments():
            if segment[0].loop is None:
                (planned,) = segment
                if planned.name not in data:
                    values[planned.name] = self._whole(planned, values)
            else:
                self._loop(segment, values, next(iter(data.values())).shape[:2])
        values.update({name: np.stack(self._stages[node].membranes or []) for name, node in neurons.items()})
        return {name: values[name].astype(np.float64, copy=False) for name in (*self.lowered.outputs, *record)}

    def _fresh(self, batch: int) -> dict[str, Stage]:
        return {p.name: self._lowering[type(p.node)](p, batch, self.lowered.dt) for p in self.lowered.nodes}

    def _state(self) -> dict[str, Array]:
        found = {f"{name}:{key}": value for name, stage in self._stages.items() for key, value in stage.state.items()}
        return found | {f"{name}:{SENT}": self._late[name] for name in late_names(self.lowered)}

    def _restore(self, arrays: dict[str, Array], batch: int) -> None:
        whole = {name: array.astype(self._dtype) for name, array in arrays.items()}
        self._stages = self._fresh(batch)
        for name, stage in self._stages.items():
            stage.state = {key: whole[f"{name}:{key}"] for key in stage.state}
        self._late = {name: whole[f"{name}:{SENT}"] for name in late_names(self.lowered)}

    def _whole(self, planned: PlannedNode, values: dict[str, Array]) -> Array:
        """A node outside of cycles, over all steps."""
        incoming = sum(values[source.name] for source in planned.sources)
        return self._stages[planned.name].run(np.asarray(incoming))

    def _loop(self, segment: tuple[PlannedNode, ...], values: dict[str, Array], size: tuple[int, ...]) -> None:
        """A cycle, one step of all its nodes at a time; a closing edge brings the step before."""
        inside = {planned.name for planned in segment}
        alone, batch = size  # a cycle that no data reach takes the steps of the input
        steps = next((len(values[s.name]) for p in segment for s in p.sources if s.name not in inside), alone)
        nothing: Array = np.zeros((), self._dtype)
        history: dict[str, list[Array]] = {name: [] for name in inside}
        for t in range(steps):
            for planned in segment:
                incoming: Array = np.zeros((batch, *planned.input_shape), self._dtype)
                for source in planned.sources:
                    if source.delayed:
                        incoming = incoming + self._late.get(source.name, nothing)
                    elif source.name in inside:
                        incoming = incoming + history[source.name][t]
                    else:
                        incoming = incoming + values[source.name][t]
                history[planned.name].append(self._stages[planned.name].run(incoming[None])[0])
            for name in inside:
                self._late[name] = history[name][t]
        values.update({name: np.stack(steps_of) for name, steps_of in history.items()})
