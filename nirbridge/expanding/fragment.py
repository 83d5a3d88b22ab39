"""A piece of graph that takes the place of one node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import Shape

Array = NDArray[Any]


@dataclass
class Fragment:
    """Core nodes that do what one extension primitive does.

    Attributes:
        name: of the node that is replaced; the node of the fragment with this name sends its output.
        nodes: by name; the others are called ``name.part``.
        edges: among them.
        entries: the nodes that get what the replaced node got.
        approximation: what the fragment does differently, empty where it is exact.
    """

    name: str
    nodes: dict[str, nir.NIRNode] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    approximation: str = ""

    def add(self, part: str, node: nir.NIRNode, *sources: str) -> str:
        """Enters a node behind ``sources``; the empty part is the one that sends the output."""
        name = f"{self.name}.{part}" if part else self.name
        self.nodes[name] = node
        self.edges += [(source, name) for source in sources]
        return name

    def enter(self, part: str, node: nir.NIRNode) -> str:
        """Enters a node that gets what the replaced node got."""
        self.entries.append(self.add(part, node))
        return self.entries[-1]


def one_node(name: str, node: nir.NIRNode) -> Fragment:
    """The fragment of a single node in the place of another."""
    fragment = Fragment(name)
    fragment.enter("", node)
    return fragment


class CannotExpandError(Exception):
    """Why a node has no counterpart in core NIR, in words; the caller adds the node."""

    def __init__(self, found: str, next_step: str) -> None:
        super().__init__(found)
        self.found, self.next_step = found, next_step


def full(value: Any, shape: Shape) -> Array:
    """A parameter at the size of the layer: other readers of NIR take a node's shape from its parameters."""
    return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shape))


def scale(value: Any, shape: Shape) -> nir.Scale:
    """y = value·x."""
    return nir.Scale(full(value, shape))


def above(value: Any, shape: Shape) -> nir.Threshold:
    """y = [x > value]."""
    return nir.Threshold(full(value, shape))


def channel_map(weight: Array, shape: Shape, does: str) -> nir.NIRNode:
    """Takes axis 0 of its input, of ``shape``, for channels, on which ``weight`` [out, in, *kernel] works.

    The padding is the kernel less 1: a kernel of 1 leaves an axis as it is, one of n makes n places of one.  Axes that
    the kernel lacks are of 1.

    Raises:
        CannotExpandError: the data have more than three axes; ``does`` says what for.
    """
    others = len(shape) - 1
    if others == 0:
        return nir.Linear(weight)
    if others > 2:
        raise CannotExpandError(f"{does} data of {len(shape)} axes, NIR convolves 3 at most", "Flatten them first")
    weight = weight.reshape(*weight.shape, *(1,) * (others + 2 - weight.ndim))
    padding = tuple(size - 1 for size in weight.shape[2:])
    bias = np.zeros(len(weight), dtype=weight.dtype)
    if others == 1:
        return nir.Conv1d(shape[1], weight, 1, padding[0], 1, 1, bias)
    return nir.Conv2d(shape[1:], weight, 1, padding, 1, 1, bias)


def is_throughout(value: Any, number: float) -> bool:
    """Whether every entry equals ``number``."""
    return bool((np.asarray(value) == number).all())
