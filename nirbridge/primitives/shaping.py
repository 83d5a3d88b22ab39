"""What shape a node makes of the shape that enters it: the rules that several primitives share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.errors import brief
from nirbridge.primitives.fields import MOST_AXES, Shape, broadcasts


class ShapeMismatchError(Exception):
    """What a rule found wrong, in words; the caller adds the node."""


def convolved(size: int, kernel: int, stride: int, before: int, after: int, dilation: int) -> int:
    """Positions of a window over ``size`` points: ⌊(size + padding - dilation·(kernel - 1) - 1)/stride⌋ + 1."""
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def pairs(value: Any, count: int) -> tuple[int, ...]:
    """A number or an array of numbers as ``count`` whole numbers.

    Raises:
        ShapeMismatchError: it is something else.
    """
    numbers = np.asarray(value)
    kind = numbers.dtype.kind
    if numbers.size not in (1, count) or kind not in "fiu" or (kind == "f" and (numbers != np.rint(numbers)).any()):
        raise ShapeMismatchError(f"{brief(value)} is not {count} whole numbers")
    whole = tuple(map(int, numbers.ravel().tolist()))
    return whole * count if len(whole) == 1 else whole


_LARGEST = 2**31 - 1
_LEAST = {"kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "padding": 0}


def require_window(node: nir.NIRNode, axes: int) -> None:
    """Refuses a window that does not move or reach, which no formula for its positions would notice."""
    for name, least in _LEAST.items():
        value = getattr(node, name, None)
        if value is None or isinstance(value, str):
            continue
        array = np.asarray(value)
        finite = array.dtype.kind not in "fiu" or array.size > axes or np.isfinite(array).all()
        if not finite or min(pairs(value, axes)) < least:
            raise ShapeMismatchError(f"{name} {brief(value)} is not whole numbers from {least} on")


def positive(output: Shape, shape: Shape) -> Shape:
    """``output``, if an array can have it."""
    if max(output) > _LARGEST:
        raise ShapeMismatchError(f"input {shape} would become {output}, larger than any array")
    if min(output) < 1:
        raise ShapeMismatchError(f"input {shape} is smaller than the window, the output would be {output}")
    return output


def require_fit(name: str, value: Any, shape: Shape) -> None:
    """Refuses a parameter that does not broadcast to exactly ``shape``."""
    if not broadcasts(np.shape(value), shape):
        raise ShapeMismatchError(f"{name} of shape {np.shape(value)} does not broadcast to {shape}")


def declared(node: Any, shape: Shape) -> Shape:
    """The shape of the node itself, which has to arrive."""
    if node.shape != shape:
        raise ShapeMismatchError(f"input {shape} differs from its shape {node.shape}")
    return shape


def as_it_comes(node: Any, shape: Shape) -> Shape:
    """Whatever arrives."""
    return shape


def elementwise(*names: str) -> Callable[[Any, Shape], Shape]:
    """The shape that arrives, to which each of the parameters broadcasts."""

    def rule(node: Any, shape: Shape) -> Shape:
        for name in names:
            require_fit(name, getattr(node, name), shape)
        return shape

    return rule


def fixed_shapes(node: Any, shape: Shape) -> Shape:
    """The output shape of a node that states both."""
    if node.input_shape != shape:
        raise ShapeMismatchError(f"input {shape} differs from its input_shape {node.input_shape}")
    if max(node.output_shape) > _LARGEST:
        raise ShapeMismatchError(f"its output would be {node.output_shape}, larger than any array")
    return node.output_shape


def stated(node: Any) -> Shape | None:
    """The input shape that a node states, in ``shape`` or in NIR's type field.

    Raises:
        ShapeMismatchError: what it states is no shape.
    """
    if isinstance(getattr(node, "shape", None), tuple):
        return tuple(node.shape)
    return as_shape_or_none((node.input_type or {}).get("input"))


def stated_by_parameters(*names: str) -> Callable[[Any], Shape | None]:
    """The shape that the parameters of a core node broadcast to."""
    return lambda node: np.broadcast_shapes(*(np.shape(getattr(node, name)) for name in names))


def by_parameters(*names: str) -> dict[str, Any]:
    """The fields of a spec that follow from parameters which broadcast to the shape that arrives."""
    return {"parameters": names, "shape": elementwise(*names), "states": stated_by_parameters(*names)}


def as_shape_or_none(value: Any) -> Shape | None:
    """NIR's type field as a shape.

    Raises:
        ShapeMismatchError: it holds something else.
    """
    if value is None:
        return None
    numbers = np.atleast_1d(value)
    if numbers.ndim != 1 or numbers.size > MOST_AXES or (numbers.size and numbers.dtype.kind not in "fiu"):
        raise ShapeMismatchError(f"states shape {brief(value)}, which is no list of up to {MOST_AXES} whole numbers")
    if not all(float(n).is_integer() for n in numbers):
        raise ShapeMismatchError(f"states shape {brief(value)}, which has an entry that is no whole number")
    return tuple(int(n) for n in numbers)
