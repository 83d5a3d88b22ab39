"""Shapes that nodes state themselves: where inference starts, and where a file may contradict what follows.

NIR's own inference takes the first side of a kernel for both, and the channels of one group for those of the input;
what its files state for this reason is known to be wrong, and what arrives is used.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.errors import brief
from nirbridge.ir.extension import MOST_AXES, Shape
from nirbridge.ir.families import STATES_ITS_SHAPE
from nirbridge.ir.shapes import ELEMENTWISE, ShapeMismatchError, convolution, pairs, shape_rule


def declared_shape(node: nir.NIRNode) -> Shape | None:
    """The input shape that a node states by itself, ``None`` where it takes what comes.

    Raises:
        ShapeMismatchError: what it states is no shape.
    """
    if isinstance(getattr(node, "shape", None), tuple):
        return tuple(node.shape)
    kind = type(node)
    if kind in ELEMENTWISE:
        return np.broadcast_shapes(*(np.shape(getattr(node, name)) for name in ELEMENTWISE[kind]))
    if kind in (nir.Affine, nir.Linear):
        return (*node.weight.shape[:-2], *node.weight.shape[-1:])
    if kind in (nir.Conv1d, nir.Conv2d):
        spatial = _spatial(node)
        return None if spatial is None else (node.weight.shape[1] * pairs(node.groups, 1)[0], *spatial)
    return _as_shape((node.input_type or {}).get("input"))


def entering_shape(node: nir.NIRNode, targets: list[nir.NIRNode]) -> Shape | None:
    """The shape of data for an input: what it states, save where NIR took it from one group of a convolution."""
    stated = declared_shape(node)
    if type(node) is nir.Input and stated:
        grouped = [
            target for target in targets if type(target) in (nir.Conv1d, nir.Conv2d) and pairs(target.groups, 1)[0] > 1
        ]
        if grouped and len(grouped) == len(targets) and {t.weight.shape[1] for t in grouped} == {stated[0]}:
            return (stated[0] * _groups(grouped[0]), *stated[1:])
    return stated


def stated_beside(node: nir.NIRNode) -> tuple[str, Shape] | None:
    """What a node states though it follows from what arrives: the name of the field, and the shape it would have."""
    if type(node) in STATES_ITS_SHAPE:
        stated = declared_shape(node)
        return None if stated is None else ("input_type" if type(node) is nir.Flatten else "shape", stated)
    if type(node) in (nir.Conv1d, nir.Conv2d):
        spatial = _spatial(node)
        return None if spatial is None else ("input_shape", spatial)
    return None


def contradicts(node: nir.NIRNode, arriving: Shape) -> str:
    """Which field of the node states another shape than arrives, in words; empty where none does."""
    stated = stated_beside(node)
    if stated is None:
        return ""
    name, shape = stated
    found = arriving[1:] if name == "input_shape" else arriving
    if shape == found:
        return ""
    return f"declares {name} {shape}, while {found} {'is what it leads to' if type(node) is nir.Input else 'arrives'}"


def require_stated(node: nir.NIRNode, arriving: Shape, by_nir: Shape | None) -> None:
    """Refuses a node that states another shape than arrives, unless this is how NIR infers it or a matter of ones.

    Axes of 1 more or less are a slip of Rockpool's exporter; the field of a Flatten has no effect of its own.

    Raises:
        ShapeMismatchError: the statement has no such reason.
    """
    found = contradicts(node, arriving)
    if not found or type(node) in (nir.Flatten, nir.Input):
        return
    _, stated = stated_beside(node) or ("", ())
    expected = by_nir if by_nir is None or type(node) is nir.Output else by_nir[1:]
    if stated != expected and not (type(node) is nir.Output and _without_ones(stated) == _without_ones(arriving)):
        raise ShapeMismatchError(found)


def shape_by_nir(node: nir.NIRNode, shape: Shape) -> Shape | None:
    """What NIR infers to leave a node, None where it cannot: square kernels of the first side's size, else the same."""
    try:
        if type(node) is nir.Conv2d and not (isinstance(node.padding, str) and node.padding == "same"):
            return convolution(node, shape, (node.weight.shape[2],) * 2)
        return shape_rule(node)(node, shape)
    except (ShapeMismatchError, ArithmeticError, AttributeError, IndexError, TypeError, ValueError):
        return None


def _groups(node: nir.Conv1d | nir.Conv2d) -> int:
    """1 too where the field holds nonsense, which the node's own rule names."""
    try:
        return pairs(node.groups, 1)[0]
    except (ShapeMismatchError, TypeError):
        return 1


def _without_ones(shape: Shape) -> list[int]:
    return [n for n in shape if n != 1]


def _spatial(node: nir.Conv1d | nir.Conv2d) -> Shape | None:
    return None if node.input_shape is None else pairs(node.input_shape, node.weight.ndim - 2)


def _as_shape(value: Any) -> Shape | None:
    if value is None:
        return None
    numbers = np.atleast_1d(value)
    if numbers.ndim != 1 or numbers.size > MOST_AXES or (numbers.size and numbers.dtype.kind not in "fiu"):
        raise ShapeMismatchError(f"states shape {brief(value)}, which is no list of up to {MOST_AXES} whole numbers")
    if not all(float(n).is_integer() for n in numbers):
        raise ShapeMismatchError(f"states shape {brief(value)}, which has an entry that is no whole number")
    return tuple(int(n) for n in numbers)
