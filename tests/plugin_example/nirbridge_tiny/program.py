"""A compiled graph: nodes in the order of the plan, a step at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.runtime import Array, Plan, Program, state_shapes
from nirbridge_tiny.lowering import LOWERING


class TinyProgram(Program):
    """States by node name; data are validated before they come here."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._states: dict[str, Any] = {}

    def _reset(self) -> None:
        self._states = {}

    def _advance(self, data: dict[str, Array], record: tuple[str, ...]) -> dict[str, Array]:
        names = (*self.lowered.outputs, *record)
        steps = [
            self._step({name: array[t] for name, array in data.items()}) for t in range(len(data[next(iter(data))]))
        ]
        return {name: np.stack([values[name] for values in steps]) for name in names}

    def _state(self) -> dict[str, Array]:
        return {name: self._states[name.removesuffix(":v")] for name in state_shapes(self.lowered, 1, integers=False)}

    def _restore(self, arrays: dict[str, Array], batch: int) -> None:
        self._states = {name.removesuffix(":v"): array for name, array in arrays.items()}

    def _step(self, values: dict[str, Array]) -> dict[str, Array]:
        values = {name: np.asarray(array, dtype=np.float64) for name, array in values.items()}
        for planned in self.lowered.nodes:
            if planned.name not in values:
                incoming = sum(values[source.name] for source in planned.sources)
                state = self._states.get(planned.name, 0.0)
                step = LOWERING[type(planned.node)]
                values[planned.name], self._states[planned.name] = step(planned.node, np.asarray(incoming), state)
        return values
