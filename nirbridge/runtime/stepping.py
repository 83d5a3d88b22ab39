"""A neuron's step with its parameters and starting states: what every runtime runs, in arrays of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import spec_of
from nirbridge.primitives.integers import IntegerForm
from nirbridge.primitives.spec import Step
from nirbridge.runtime.plan import PlannedNode

Array = NDArray[Any]


@dataclass(frozen=True)
class Stepping:
    """The dynamics of one node of a plan.

    Attributes:
        step: ``(x, *state, *parameters) -> (y, *state)``; each may be a comparison, which counts as 1 where it holds.
        state: names of the states.
        start: their values before the first step, in their order; double precision, broadcastable to the node's shape.
        parameters: by name, in the order of ``step``; double precision.
    """

    step: Step
    state: tuple[str, ...]
    start: tuple[Any, ...]
    parameters: dict[str, Any]

    @property
    def membrane(self) -> int:
        """Which of the states is the membrane."""
        return self.state.index("v")


def stepping_of(planned: PlannedNode, dt: float) -> Stepping:
    """The step of a node that has one."""
    node, dynamics = planned.node, spec_of(planned.node).dynamics
    assert dynamics is not None
    subtract = planned.reset_amount is not None
    return Stepping(
        step=dynamics.step_of(node, subtract),
        state=dynamics.state,
        start=tuple(_wide(dynamics.start[name](node)) if name in dynamics.start else 0.0 for name in dynamics.state),
        parameters={k: _wide(value) for k, value in dynamics.values(node, dt, planned.reset_amount).items()},
    )


def integer_form_of(planned: PlannedNode, dt: float) -> IntegerForm:
    """The normal form of a neuron in precision "fixed"; with a reset amount a spike takes that off the membrane."""
    integers = spec_of(planned.node).integers
    assert integers is not None
    assert integers.form is not None
    form = integers.form(planned.node, dt)
    return form if planned.reset_amount is None else form.subtracting(planned.reset_amount)


def _wide(value: Any) -> Any:
    return np.asarray(value, dtype=np.float64)


def window_of(planned: PlannedNode, integers: bool, cast: Callable[[Array], Any]) -> Callable[[Sequence[Any]], Any]:
    """What a node does with the frames of a window, its arrays in those of a runtime: (what it sends, membranes)."""
    window = spec_of(planned.node).window
    assert window is not None
    found = window.integer if integers else window.real
    assert found is not None
    return partial(found.run, **{name: _cast(value, cast) for name, value in found.parameters(planned.node).items()})


def _cast(value: Any, cast: Callable[[Array], Any]) -> Any:
    if type(value) is tuple:
        return tuple(_cast(part, cast) for part in value)
    return cast(value) if isinstance(value, np.ndarray) else value
