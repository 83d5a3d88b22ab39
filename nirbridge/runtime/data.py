"""Checks of the data of a call before anything runs: shape, kind, finite numbers, integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nirbridge.arrays import as_array
from nirbridge.errors import InputError
from nirbridge.runtime.plan import Plan, PlannedNode

Array = NDArray[Any]
"""Any numpy array; data are [T, B, *shape]."""
Data = Array | Mapping[str, Array]
"""One array for the only input, or one for each by name."""


def validated(plan: Plan, x: Data, one_step: bool = False) -> tuple[dict[str, Array], dict[str, float]]:
    """[T, B, *shape] by input name, and the sum of squares of each; ``one_step`` is given without T."""
    given = dict(x) if isinstance(x, Mapping) else dict.fromkeys(plan.inputs[:1], x)
    if set(given) != set(plan.inputs):
        found = f"data for {sorted(given)}, but the inputs are {sorted(plan.inputs)}"
        raise InputError("input", found, "Give one array for each input, by its name")
    arrays = {name: as_array(f"input for {plan[name]}", array) for name, array in given.items()}
    data = {name: validated_shape(plan[name], array, plan.block, one_step) for name, array in arrays.items()}
    squares = {name: require_finite(plan[name], array) for name, array in data.items()}
    sizes = {array.shape[:2] for array in data.values()}
    if len(sizes) != 1:
        raise InputError("input", f"inputs disagree about time and batch: {sorted(sizes)}", "Give equal T and B")
    return data, squares


def validated_shape(planned: PlannedNode, array: Array, block: int, one_step: bool) -> Array:
    """[T, B, *shape] of an input, in whole windows of ``block`` steps; ``one_step`` is given without T."""
    where, shape = f"input for {planned}", planned.output_shape
    if array.dtype.kind not in "fiub":
        raise InputError(where, f"dtype {array.dtype}, expected real numbers", "Convert it to float32")
    axes, names = (("B",), "batch axis") if one_step else (("T", "B"), "time and batch axes")
    if array.ndim != len(shape) + len(axes) or array.shape[len(axes) :] != shape:
        wanted = ", ".join((*axes, *map(str, shape)))
        next_step = f"Add or move the {names}"
        if len(shape) > 1 and array.shape[-len(shape) + 1 :] == shape[1:] and array.ndim < len(shape) + len(axes):
            next_step += f", or state {shape[1:]} in the Input: its first axis is probably the batch"
        raise InputError(where, f"shape {array.shape}, expected [{wanted}]", next_step)
    array = array[None] if one_step else array
    if 0 in array.shape[:2]:
        found = f"shape {array.shape[2 - len(axes) :]} holds no step or no sample"
        raise InputError(where, found, "Give at least one of each")
    if array.shape[0] % block:
        found = f"{array.shape[0]} steps are no multiple of the {block} steps of a window"
        raise InputError(where, found, "Give whole windows")
    return array


def require_finite(planned: PlannedNode, array: Array) -> float:
    """The sum of squares of data without NaN and infinity, as :func:`sum_of_squares` gives it."""
    squares = sum_of_squares(array)
    if array.dtype.kind == "f" and not is_finite(array, squares):
        raise InputError(f"input for {planned}", "holds NaN or infinity", "Clean the data first")
    return squares


def is_finite(array: Array, squares: float | None = None) -> bool:
    """Whether no number is NaN or infinite: seen in the sum of squares, unless finite ones overflow it."""
    return math.isfinite(sum_of_squares(array) if squares is None else squares) or bool(np.isfinite(array).all())


def sum_of_squares(array: Array) -> float:
    """Read once, with nothing written; infinity where that cannot be done.  Rounded, but never below a square."""
    if not array.flags.c_contiguous or array.dtype not in (np.float32, np.float64):
        return math.inf
    flat = array.reshape(-1)
    return float(np.vdot(flat, flat))  # unlike np.dot of numpy 2 it does not warn of infinity, which is an answer


def require_integers(where: str, array: Array, limit: int) -> None:
    """Refuses data of precision "fixed" that are no integers, or beyond the limit of the graph."""
    broken = array[array != np.rint(array)] if array.dtype.kind == "f" else array[:0]
    if broken.size:
        found = f"holds {broken.flat[0]:g}, and precision 'fixed' takes integers"
        step = "Give integers, take precision 'float', or let 'nirbridge quantize' put a Quantize node behind the input"
        raise InputError(where, found, step)
    if array.dtype.kind != "b" and max(int(array.max()), -int(array.min())) > limit:
        found = f"holds magnitudes above {limit}, up to which this graph's sums stay exact in precision 'fixed'"
        raise InputError(where, found, "Give smaller integers")
