"""How far an expanded graph is from the original, measured on data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.substeps import join_substeps, repeat_substeps, substeps_of
from nirbridge.ir import flatten
from nirbridge.reports import counted
from nirbridge.runtime import Array, Data, Plan, compile, make_plan
from nirbridge.runtime.data import validated

STEPS, BATCH = 16, 4


@dataclass(frozen=True)
class MeasuredError:
    """The difference between two outputs.

    Attributes:
        values: how many numbers were compared.
        differing: how many of them differ by more than 1e-9 of the largest.
        largest: the largest absolute difference.
        relative: the root of the mean square difference over that of the original.
        steps: T of the data.
    """

    values: int
    differing: int
    largest: float
    relative: float
    steps: int

    def __str__(self) -> str:
        return (
            f"{self.differing} of {self.values} output values differ over {counted(self.steps, 'step')}, by "
            f"{self.largest:.3g} at most; relative error {self.relative:.3g}"
        )


def measured_error(
    graph: nir.NIRGraph,
    expanded: nir.NIRGraph,
    x: Data | None,
    exact_for: str,
    dt: float | None,
    expanded_dt: float | None = None,
) -> MeasuredError:
    """Runs both on the reference; ``x`` is [T, B, *shape], by default 16 random frames of 4 samples within 0..2.

    With ``exact_for`` "one-step" every step starts from fresh states.  ``expanded_dt`` is the dt of the expanded graph
    where it is made for another than the original's; its one Input may have another name, and data in one row.
    """
    flat = flatten(graph)
    plan = make_plan(flat)
    data = _by_name(plan, x)
    if exact_for == "one-step":  # every step a sample of its own
        data = {name: array.reshape(1, -1, *array.shape[2:]) for name, array in data.items()}
    with compile(flat, dt=dt) as program:
        expected = _outputs(program.run(data).output)
    count = substeps_of(flat) if exact_for == "substeps" else 1
    how = {"reset": "subtract"} if exact_for == "substeps" else {}
    step = expanded_dt or (dt if dt is not None else plan.dt)
    repeated = {name: repeat_substeps(array, count) for name, array in data.items()}
    with compile(expanded, dt=step, **how) as program:
        if expanded_dt is not None:
            (name,), (array,) = program.plan.inputs, repeated.values()
            repeated = {name: array.reshape(*array.shape[:2], *program.plan[name].output_shape)}
        result = program.run(repeated).output
    found = _outputs(result) if expanded_dt is None else dict.fromkeys(expected, result)
    a = np.concatenate([expected[name].ravel() for name in expected])
    b = np.concatenate([join_substeps(found[name], count).ravel() for name in expected])
    apart = np.abs(a - b)
    scale = max(float(np.abs(a).max(initial=0.0)), 1e-300)
    norm = float(np.sqrt(np.mean(a**2))) or 1.0
    steps = len(next(iter(data.values())))
    return MeasuredError(
        a.size, int((apart > 1e-9 * scale).sum()), float(apart.max()), float(np.sqrt(np.mean(apart**2))) / norm, steps
    )


def _by_name(plan: Plan, x: Data | None) -> dict[str, Array]:
    if x is not None:
        return {name: array.astype(np.float64) for name, array in validated(plan, x)[0].items()}
    rng = np.random.default_rng(0)
    steps = -(-STEPS // plan.block) * plan.block
    return {name: rng.integers(0, 65, (steps, BATCH, *plan[name].output_shape)) / 32 for name in plan.inputs}


def _outputs(output: Any) -> dict[str, Array]:
    return output if isinstance(output, dict) else {"output": output}
