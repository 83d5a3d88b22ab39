"""Shapes that nodes state themselves: where inference starts, and where a file may contradict what follows.

NIR's own inference takes the first side of a kernel for both, and the channels of one group for those of the input;
what its files state for this reason is known to be wrong, and what arrives is used.
"""

from __future__ import annotations

import nir

from nirbridge.ir.registry import find_spec
from nirbridge.primitives.convolution import convolution, spatial_shape
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.shaping import ShapeMismatchError, pairs, stated


def made_shape(node: nir.NIRNode, shape: Shape) -> Shape:
    """The shape that the node makes of the one that enters.

    Raises:
        ShapeMismatchError: that shape does not fit, or the type is no primitive.
    """
    spec = find_spec(type(node))
    if spec is not None:
        return spec.shape(node, shape)
    if hasattr(node, "made_shape"):  # what exists while a graph is converted brings its own rule
        return node.made_shape(shape)
    raise ShapeMismatchError(f"type {type(node).__name__!r} is no NIR primitive")


def declared_shape(node: nir.NIRNode) -> Shape | None:
    """The input shape that a node states by itself, ``None`` where it takes what comes.

    Raises:
        ShapeMismatchError: what it states is no shape.
    """
    spec = find_spec(type(node))
    return stated(node) if spec is None else spec.states(node)


def states_its_shape(node: nir.NIRNode) -> bool:
    """Whether its type fields are parameters that files hold; inference must not write into them."""
    return type(node) in (nir.Input, nir.Output, nir.Flatten)


def entering_shape(node: nir.NIRNode, targets: list[nir.NIRNode]) -> Shape | None:
    """The shape of data for an input: what it states, save where NIR took it from one group of a convolution."""
    found = declared_shape(node)
    if type(node) is nir.Input and found:
        grouped = [target for target in targets if _convolves(target) and _groups(target) > 1]
        if grouped and len(grouped) == len(targets) and {t.weight.shape[1] for t in grouped} == {found[0]}:
            return (found[0] * _groups(grouped[0]), *found[1:])
    return found


def _convolves(node: nir.NIRNode) -> bool:
    spec = find_spec(type(node))
    return spec is not None and spec.operation == "convolution"


def stated_beside(node: nir.NIRNode) -> tuple[str, Shape] | None:
    """What a node states though it follows from what arrives: the name of the field, and the shape it would have."""
    if states_its_shape(node):
        stated = declared_shape(node)
        return None if stated is None else ("input_type" if type(node) is nir.Flatten else "shape", stated)
    if _convolves(node):
        spatial = spatial_shape(node)
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
        return made_shape(node, shape)
    except (ShapeMismatchError, ArithmeticError, AttributeError, IndexError, TypeError, ValueError):
        return None


def _groups(node: nir.NIRNode) -> int:
    """1 too where the field holds nonsense, which the node's own rule names."""
    try:
        return pairs(node.groups, 1)[0]
    except (ShapeMismatchError, TypeError):
        return 1


def _without_ones(shape: Shape) -> list[int]:
    return [n for n in shape if n != 1]
