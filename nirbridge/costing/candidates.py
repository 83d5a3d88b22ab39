"""One network of a sweep with its data: what does not fit is found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import nir
import numpy as np

from nirbridge.costing.latency import is_phase_coded, window_steps
from nirbridge.errors import InputError
from nirbridge.ir import FlatGraph, PhaseEncode, flatten, frames_of_inference
from nirbridge.reports import counted
from nirbridge.runtime import Array, Data, Plan, make_plan


@dataclass(frozen=True)
class Candidate:
    """A network that can be run and judged.

    Attributes:
        name: the name in the table.
        graph: the network.
        plan: the graph, planned.
        x: [T, B, *shape], or a dictionary by input name.
        labels: class of each sample.
        label: what tells it from others of its group; empty: its steps.
        group: the family it belongs to; empty: that of its neurons.
    """

    name: str
    graph: FlatGraph
    plan: Plan
    x: Data
    labels: Array
    label: str = ""
    group: str = ""

    @property
    def samples(self) -> int:
        """B."""
        return len(self.labels)


def candidate(
    name: str,
    graph: nir.NIRGraph,
    x: Data,
    labels: Array,
    *,
    steps: int | None = None,
    samples: int | None = None,
    label: str = "",
    group: str = "",
    dt: float | None = None,
) -> Candidate:
    """A network with its data, checked.

    Args:
        name: the name in the table.
        graph: a network with one output of one score for each class.
        x: frames [T, B, *shape], or still images [B, *shape], which are shown at every step.
        labels: [B], class of each sample.
        steps: T for still images; not needed where the graph says it, as a phase code, a mixing over time or one that
            was converted by "qcfs" does.
        samples: use only the first so many.
        label: what tells it from others of its group, by default its steps.
        group: the family it belongs to, by default that of its neurons.
        dt: seconds per step.

    Raises:
        InputError: data, labels, steps or the output do not fit.
        GraphError: the graph is not valid.
    """
    if samples is not None and samples < 1:
        raise InputError("option 'samples'", f"{samples} is no number from 1 on", "Give for instance 100")
    flat = flatten(graph)
    plan = make_plan(flat, dt)
    classes = _classes(plan)
    frames = _frames(plan, x, steps, frames_of_inference(graph))
    count = _batch(frames)
    kept = _labels(labels, count, classes)
    if samples is not None and samples < count:
        kept = kept[:samples]
        frames = (
            {key: np.asarray(value)[:, :samples] for key, value in frames.items()}
            if isinstance(frames, Mapping)
            else frames[:, :samples]
        )
    return Candidate(name, flat, plan, frames, kept, label, group)


def _classes(plan: Plan) -> int:
    if len(plan.outputs) != 1:
        raise InputError("graph", f"has {len(plan.outputs)} outputs, a decision needs one", "Leave one")
    shape = plan[plan.outputs[0]].output_shape
    if len(shape) != 1:
        found = f"its output has shape {tuple(shape)}, a decision needs one score for each class, as (10,)"
        raise InputError("graph", found, "End the network with a layer of one value for each class")
    return int(shape[0])


def _frames(plan: Plan, x: Data, steps: int | None, own: int | None) -> Data:
    """[T, B, *shape]; still images become a view of themselves at every step, ``own`` where the graph says it.

    A graph that was converted for one frame makes its T steps of it itself, so either number is its own.
    """
    if own is not None and steps is not None:
        made = window_steps(plan, own)
        if steps not in (own, made):
            found = f"was converted for T = {made}, but {counted(steps, 'step')} are asked for"
            raise InputError("graph", found, f"Leave --steps out, or convert it with --steps {steps}")
        steps = None if isinstance(x, Mapping) or np.ndim(x) != 1 + len(plan[plan.inputs[0]].output_shape) else own
    if isinstance(x, Mapping):
        return {key: np.asarray(value) for key, value in x.items()}
    array = np.asarray(x)
    where, shape = f"input for {plan[plan.inputs[0]]}", tuple(plan[plan.inputs[0]].output_shape)
    axes = array.ndim - len(shape)
    if axes not in (1, 2) or array.shape[axes:] != shape:
        inner = ", ".join(map(str, shape))
        found = f"shape {array.shape}, expected frames [T, B, {inner}] or still images [B, {inner}]"
        raise InputError(where, found, "Add or move the axes")
    if 0 in array.shape:
        raise InputError(where, f"shape {array.shape} holds no step or no sample", "Give at least one of each")
    if axes == 2:
        if steps is not None and steps != len(array):
            found = f"holds {len(array)} steps, but {steps} are asked for"
            raise InputError(where, found, f"Give still images, data of {steps} steps, or leave the steps out")
        return array
    count = steps if steps is not None else own if own is not None else _own_steps(plan)
    if count is None:
        found = f"does not say for how many steps still images, shape {array.shape}, are shown"
        raise InputError("graph", found, "Give the steps (--steps), or frames [T, B, *shape]")
    return np.broadcast_to(array, (count, *array.shape))


def _own_steps(plan: Plan) -> int | None:
    """Input steps of a window, where the graph works on any and still images make sense: they are no phase code."""
    if is_phase_coded(plan):
        return plan.block if any(type(planned.node) is PhaseEncode for planned in plan.nodes) else None
    return plan.block if plan.block > 1 else None


def _batch(x: Data) -> int:
    arrays = list(x.values()) if isinstance(x, Mapping) else [x]
    sizes = {array.shape[1] for array in arrays if array.ndim > 1}
    if len(sizes) != 1:
        raise InputError("input", f"arrays of {sorted(sizes)} samples", "Give arrays [T, B, *shape] with equal B")
    return int(sizes.pop())


def _labels(labels: Array, samples: int, classes: int) -> Array:
    found = np.asarray(labels)
    if found.dtype.kind not in "iu" or found.ndim != 1:
        what = f"{found.dtype} of shape {found.shape}, expected whole numbers [B]"
        raise InputError("labels", what, "Give the class of each sample, from 0 on")
    if len(found) != samples:
        raise InputError("labels", f"{len(found)} classes for {samples} samples", "Give one for each sample")
    if found.min() < 0 or found.max() >= classes:
        wrong = int(found.min() if found.min() < 0 else found.max())
        raise InputError("labels", f"class {wrong} is not within 0..{classes - 1}", "Number the classes from 0 on")
    return found
