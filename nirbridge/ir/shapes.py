"""What shape a node makes of the shape that enters it: right for non-square kernels, groups, broadcast parameters.

To add a primitive: one rule in ``_RULES``, a function of the node and its input shape.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import brief
from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import Shape
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.quantize import Quantize

Rule = Callable[[Any, Shape], Shape]


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
    numbers = np.asarray(value).ravel()
    if numbers.size not in (1, count) or numbers.dtype.kind not in "fiu" or (numbers != np.rint(numbers)).any():
        raise ShapeMismatchError(f"{brief(value)} is not {count} whole numbers")
    return tuple(int(n) for n in np.broadcast_to(numbers, (count,)))


_LARGEST = 2**31 - 1
_LEAST = {"kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "padding": 0}


def _require_window(node: nir.NIRNode, axes: int) -> None:
    """Refuses a window that does not move or reach, which no formula for its positions would notice."""
    for name, least in _LEAST.items():
        value = getattr(node, name, None)
        if value is None or isinstance(value, str):
            continue
        array = np.asarray(value)
        finite = array.dtype.kind not in "fiu" or array.size > axes or np.isfinite(array).all()
        if not finite or min(pairs(value, axes)) < least:
            raise ShapeMismatchError(f"{name} {brief(value)} is not whole numbers from {least} on")


def conv_padding(node: nir.Conv1d | nir.Conv2d) -> tuple[tuple[int, int], ...]:
    """(before, after) of each spatial axis; "same" puts an odd remainder behind, as torch does."""
    axes = node.weight.ndim - 2
    if isinstance(node.padding, str):
        if node.padding == "valid":
            return ((0, 0),) * axes
        totals = [d * (k - 1) for d, k in zip(pairs(node.dilation, axes), node.weight.shape[2:], strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in pairs(node.padding, axes))


def _conv(node: nir.Conv1d | nir.Conv2d, shape: Shape) -> Shape:
    return convolution(node, shape, node.weight.shape[2:])


def convolution(node: nir.Conv1d | nir.Conv2d, shape: Shape, kernel: Shape) -> Shape:
    """What a convolution makes of ``shape`` if its kernel is of this size."""
    axes = node.weight.ndim - 2
    _require_window(node, axes)
    if len(shape) != axes + 1:
        raise ShapeMismatchError(
            f"input {shape} has {len(shape)} axes, expected (channels, {'x, y' if axes == 2 else 'x'})"
        )
    groups = pairs(node.groups, 1)[0]
    channels = node.weight.shape[1] * groups
    if shape[0] != channels:
        raise ShapeMismatchError(f"input {shape} has {shape[0]} channels, the weight takes {channels}")
    if node.weight.shape[0] % groups:
        raise ShapeMismatchError(f"{node.weight.shape[0]} output channels do not divide into {groups} groups")
    _broadcast("bias", node.bias, node.weight.shape[:1])
    stride = pairs(node.stride, axes)
    if isinstance(node.padding, str) and node.padding == "same" and set(stride) != {1}:
        raise ShapeMismatchError(f"padding 'same' needs stride 1, found {stride}")
    sizes = tuple(
        convolved(size, reach, step, before, after, dilation)
        for size, reach, step, (before, after), dilation in zip(
            shape[1:], kernel, stride, conv_padding(node), pairs(node.dilation, axes), strict=True
        )
    )
    return _positive((int(node.weight.shape[0]), *sizes), shape)


def _pool(node: nir.SumPool2d | nir.AvgPool2d | MaxPool2d, shape: Shape) -> Shape:
    _require_window(node, 2)
    if len(shape) != 3:
        raise ShapeMismatchError(f"input {shape} has {len(shape)} axes, expected (channels, x, y)")
    sizes = tuple(
        convolved(size, kernel, stride, padding, padding, 1)
        for size, kernel, stride, padding in zip(
            shape[1:], pairs(node.kernel_size, 2), pairs(node.stride, 2), pairs(node.padding, 2), strict=True
        )
    )
    return _positive((shape[0], *sizes), shape)


def _positive(output: Shape, shape: Shape) -> Shape:
    if max(output) > _LARGEST:
        raise ShapeMismatchError(f"input {shape} would become {output}, larger than any array")
    if min(output) < 1:
        raise ShapeMismatchError(f"input {shape} is smaller than the window, the output would be {output}")
    return output


def _matrix(node: nir.Affine | nir.Linear, shape: Shape) -> Shape:
    *outer, rows, columns = node.weight.shape
    if not shape or shape[-1] != columns:
        raise ShapeMismatchError(f"input {shape} does not end with the {columns} columns of the weight")
    if outer and tuple(outer) != shape[:-1]:
        raise ShapeMismatchError(f"input {shape} does not fit the weight {node.weight.shape}")
    output = (*shape[:-1], int(rows))
    if type(node) is nir.Affine:
        _broadcast("bias", node.bias, output)
    return output


def _broadcast(name: str, value: Any, shape: Shape) -> None:
    found = np.shape(value)
    try:
        fits = np.broadcast_shapes(found, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeMismatchError(f"{name} of shape {found} does not broadcast to {shape}")


ELEMENTWISE: dict[type[nir.NIRNode], tuple[str, ...]] = {
    nir.Scale: ("scale",),
    nir.Delay: ("delay",),
    nir.Threshold: ("threshold",),
    nir.I: ("r",),
    nir.IF: ("r", "v_threshold", "v_reset"),
    nir.LI: ("tau", "r", "v_leak"),
    nir.LIF: ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    nir.CubaLI: ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    nir.CubaLIF: ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
}
"""Node type → its parameters, each of which broadcasts against the shape that arrives."""


def _elementwise(node: nir.NIRNode, shape: Shape) -> Shape:
    for name in ELEMENTWISE[type(node)]:
        _broadcast(name, getattr(node, name), shape)
    return shape


def _as_it_comes(node: Any, shape: Shape) -> Shape:
    return shape


def _declared(node: Any, shape: Shape) -> Shape:
    if node.shape != shape:
        raise ShapeMismatchError(f"input {shape} differs from its shape {node.shape}")
    return shape


def _flatten(node: nir.Flatten, shape: Shape) -> Shape:
    start, end = (d + (len(shape) if d < 0 else 0) for d in (*pairs(node.start_dim, 1), *pairs(node.end_dim, 1)))
    if not 0 <= start <= end < len(shape):
        raise ShapeMismatchError(f"dimensions {node.start_dim}..{node.end_dim} are not within input {shape}")
    return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


def _aggregate(node: Aggregate, shape: Shape) -> Shape:
    if not shape or shape[0] != node.weight.shape[0]:
        raise ShapeMismatchError(f"input {shape} does not begin with the {node.weight.shape[0]} nodes of the weight")
    return shape


def _fixed_shapes(node: Place | Product, shape: Shape) -> Shape:
    if node.input_shape != shape:
        raise ShapeMismatchError(f"input {shape} differs from its input_shape {node.input_shape}")
    if max(node.output_shape) > _LARGEST:
        raise ShapeMismatchError(f"its output would be {node.output_shape}, larger than any array")
    return node.output_shape


_RULES: dict[type[nir.NIRNode], Rule] = {
    nir.Input: _as_it_comes,
    nir.Output: _as_it_comes,
    **dict.fromkeys(ELEMENTWISE, _elementwise),
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
    EventInput: _declared,
    MultiLevelLIF: _declared,
    PhaseIF: _declared,
    PhaseEncode: _declared,
    PhaseDecode: _declared,
    MaxPool2d: _pool,
    TemporalMix: _as_it_comes,
    Aggregate: _aggregate,
    Place: _fixed_shapes,
    Product: _fixed_shapes,
    Quantize: _declared,
}


def add_rule(kind: type[nir.NIRNode], like: type[nir.NIRNode]) -> None:
    """Gives a node that exists between passes only the shape rule of a primitive."""
    _RULES[kind] = _RULES[like]


def shape_rule(node: nir.NIRNode) -> Rule:
    """The rule of exactly this type.

    Raises:
        ShapeMismatchError: the type is no primitive.
    """
    rule = _RULES.get(type(node))
    if rule is None:
        raise ShapeMismatchError(f"type {type(node).__name__!r} is no NIR primitive")
    return rule
