"""Arrays as a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nirbridge.costing.latency import window_steps
from nirbridge.errors import InputError
from nirbridge.evaluating.array_sources import ArraySource, Cut, identity_of
from nirbridge.evaluating.layout import Layout, layout_of
from nirbridge.evaluating.samples import Batch, Part
from nirbridge.evaluating.steps import own_steps, steps_of_still
from nirbridge.ir import Graph
from nirbridge.reports import counted
from nirbridge.runtime import Array, Plan


@dataclass(frozen=True)
class ArraySamples:
    """A data set of arrays by input name; see ``samples.Samples``."""

    sources: Mapping[str, ArraySource]
    layouts: Mapping[str, Layout]
    labels: Array | None
    steps: int
    notes: tuple[str, ...]
    order: str | None
    scale: float
    input_kind: str | None = None

    @property
    def identity(self) -> tuple[str | int | float, ...]:
        """The arrays, and how they are read."""
        arrays = (part for source in self.sources.values() for part in identity_of(source))
        return (*arrays, self.steps, self.scale, str(self.order))

    def __len__(self) -> int:
        return next(iter(self.layouts.values())).samples

    def part(self, first: int, stop: int) -> Part:
        """See ``samples.Samples``."""
        cuts = {name: source.cut(self.layouts[name].axis, first, stop) for name, source in self.sources.items()}
        return partial(_load, cuts, self.layouts, self.steps, self.scale, self.still)

    def name(self, number: int) -> str:
        """Samples of an array have no file of their own."""
        return ""

    @property
    def still(self) -> bool:
        """Whether every sample is one frame that is shown at each step."""
        return all(layout.steps is None for layout in self.layouts.values())

    def noted(self, note: str) -> ArraySamples:
        """The same, with one more thing that a user must know."""
        return replace(self, notes=(note, *self.notes))


def array_samples(
    where: str,
    sources: Mapping[str, ArraySource],
    graph: Graph,
    plan: Plan,
    *,
    labels: Array | None = None,
    steps: int | None = None,
    order: str | None = None,
    scale: float = 1.0,
) -> ArraySamples:
    """Arrays by input name as a data set.

    Args:
        where: what they are, for messages.
        sources: the arrays; the only one goes to the only input, whatever its name.
        graph: that takes them; it may say T of still images.
        plan: of the graph.
        labels: [N]; they also tell which axis is N.
        steps: that the caller asked for; frames must have as many.
        order: "nt" or "tn", where the axes do not say.
        scale: a factor on all values.

    Raises:
        InputError: an input has no array, shapes or dtypes do not fit, or nothing says T.
    """
    arrays = dict(zip(plan.inputs, sources.values(), strict=True)) if len(sources) == len(plan.inputs) == 1 else sources
    if set(arrays) != set(plan.inputs):
        names = ", ".join(sorted(name or "an array without a name" for name in arrays)) or "no data"
        found = f"holds {names}, the graph's inputs are {', '.join(plan.inputs)}"
        raise InputError(where, found, "Give one array for each input, by its name")
    count = None if labels is None else labels.size
    layouts, notes = {}, []
    for name, source in arrays.items():
        place = where if len(arrays) == 1 else f"{where}, input '{name}'"
        if source.array.dtype.kind not in "fiub":
            raise InputError(place, f"dtype {source.array.dtype}, expected real numbers", "Convert it to float32")
        layouts[name] = layout_of(place, source.array.shape, tuple(plan[name].output_shape), count, order)
        notes += [*layouts[name].notes, *_byte_note(place, source.array, scale)]
    sizes = {(layout.samples, layout.steps) for layout in layouts.values()}
    if len(sizes) > 1:
        differ = ", ".join(sorted(f"{n} samples of {t or 'no'} steps" for n, t in sizes))
        raise InputError(where, f"inputs disagree: {differ}", "Give arrays of equal ones")
    ((_, given),) = sizes
    if given is not None:
        made = _steps(where, given, steps, plan)
    else:
        made = steps_of_still(graph, plan, steps)
        notes += _phase_note(where, graph, plan, made)
    return ArraySamples(arrays, layouts, labels, made, tuple(notes), order, scale)


def _load(cuts: Mapping[str, Cut], layouts: Mapping[str, Layout], steps: int, scale: float, still: bool) -> Batch:
    """A part, in which a sample that holds NaN or infinity is bad."""
    arrays = {name: _frames(cut(), layouts[name], steps, scale) for name, cut in cuts.items()}
    count = next(iter(arrays.values())).shape[1]
    bad = {
        int(place): "holds NaN or infinity" + (f" for '{name}'" if len(arrays) > 1 else "")
        for name, array in arrays.items()
        for place in _broken(array)
    }
    places = np.setdiff1d(np.arange(count), list(bad)) if bad else np.arange(count)
    x = {name: array[:, places] if bad else array for name, array in arrays.items()}
    return Batch(x, places, np.full(len(places), steps), still, bad)


def _frames(values: Array, layout: Layout, steps: int, scale: float) -> Array:
    """[T, B, *shape] of one input."""
    if scale != 1:
        wide = np.result_type(values.dtype, np.float32)  # half precision overflows, and rounds the factor
        values = np.multiply(values, wide.type(scale), dtype=wide)
    if layout.steps is None:
        values = np.ascontiguousarray(values).reshape(len(values), *layout.shape)
        return np.broadcast_to(values, (steps, *values.shape))
    values = np.moveaxis(values, layout.axis, 1)
    return np.ascontiguousarray(values).reshape(*values.shape[:2], *layout.shape)


def _broken(array: Array) -> Array:
    """The samples that hold a number which is not finite."""
    one = array[:1] if array.strides[0] == 0 else array
    if one.dtype.kind != "f" or np.isfinite(one).all():
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(~np.isfinite(one).reshape(len(one), one.shape[1], -1).all(axis=(0, 2)))


def _steps(where: str, given: int, asked: int | None, plan: Plan) -> int:
    if asked is not None and asked != given:
        found = f"holds {given} steps, but {asked} are asked for"
        raise InputError(where, found, f"Give still images, data of {asked} steps, or leave the steps out")
    if given % plan.block:
        found = f"{given} steps are no multiple of the {plan.block} steps of a window"
        raise InputError(where, found, "Give whole windows")
    return given


def _phase_note(where: str, graph: Graph, plan: Plan, made: int) -> list[str]:
    """What steps that are not the graph's own come to, where a phase code makes several of each."""
    run = window_steps(plan, made)
    if run == made or own_steps(graph, plan) in (None, made):
        return []
    text = f"{counted(made, 'input step')} run {run} steps, {run // made} phases each"
    return [f"{where}: {text}; one inference is without --steps."]


def _byte_note(where: str, array: Array, scale: float) -> list[str]:
    if array.dtype != np.uint8 or scale != 1 or (len(array) and int(array[: min(len(array), 256)].max()) <= 1):
        return []
    return [f"{where}: bytes are taken as they are, 0 to 255; --scale 1/255 makes 0 to 1 of them."]
