"""Shape inference of our own: right for non-square kernels, groups, broadcast parameters and nested graphs.

To add a primitive: one rule in ``_RULES``, a function of the node and its input shape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.errors import GraphError, Problem
from nirbridge.ir.event_input import EventInput
from nirbridge.ir.extension import Shape
from nirbridge.ir.families import STATES_ITS_SHAPE
from nirbridge.ir.flat import FlatGraph, flatten, label
from nirbridge.ir.foreign_arrays import with_numpy_parameters
from nirbridge.ir.linear import Aggregate, MaxPool2d, TemporalMix
from nirbridge.ir.multilevel import MultiLevelLIF
from nirbridge.ir.phase import PhaseDecode, PhaseEncode, PhaseIF
from nirbridge.ir.products import Place, Product
from nirbridge.ir.quantize import Quantize

Rule = Callable[[Any, Shape], Shape]


class ShapeMismatchError(Exception):
    """What a rule found wrong, in words; the caller adds the node."""


@dataclass(frozen=True)
class Shapes:
    """The shape of what enters and of what leaves a node, without time and batch."""

    input: Shape
    output: Shape


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
        raise ShapeMismatchError(f"{np.asarray(value).tolist()!r} is not {count} whole numbers")
    return tuple(int(n) for n in np.broadcast_to(numbers, (count,)))


_LARGEST = 2**31 - 1
_LEAST = {"kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "padding": 0}


def _require_window(node: nir.NIRNode, axes: int) -> None:
    """Refuses a window that does not move or reach, which no formula for its positions would notice."""
    for name, least in _LEAST.items():
        value = getattr(node, name, None)
        if value is None or isinstance(value, str):
            continue
        if not np.isfinite(np.asarray(value, dtype=np.float64)).all() or min(pairs(value, axes)) < least:
            raise ShapeMismatchError(f"{name} {np.asarray(value).tolist()!r} is not whole numbers from {least} on")


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
    axes = node.weight.ndim - 2
    _require_window(node, axes)
    if len(shape) != axes + 1:
        raise ShapeMismatchError(
            f"input {shape} has {len(shape)} axes, expected (channels, {'x, y' if axes == 2 else 'x'})"
        )
    groups = int(node.groups)
    channels = node.weight.shape[1] * groups
    if shape[0] != channels:
        raise ShapeMismatchError(f"input {shape} has {shape[0]} channels, the weight takes {channels}")
    if node.weight.shape[0] % groups:
        raise ShapeMismatchError(f"{node.weight.shape[0]} output channels do not divide into {groups} groups")
    _broadcast("bias", node.bias, node.weight.shape[:1])
    if node.input_shape is not None and pairs(node.input_shape, axes) != shape[1:]:
        raise ShapeMismatchError(f"input {shape} differs from the declared input_shape {pairs(node.input_shape, axes)}")
    stride = pairs(node.stride, axes)
    if isinstance(node.padding, str) and node.padding == "same" and set(stride) != {1}:
        raise ShapeMismatchError(f"padding 'same' needs stride 1, found {stride}")
    sizes = tuple(
        convolved(size, kernel, step, before, after, dilation)
        for size, kernel, step, (before, after), dilation in zip(
            shape[1:], node.weight.shape[2:], stride, conv_padding(node), pairs(node.dilation, axes), strict=True
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


def _elementwise(*names: str) -> Rule:
    def rule(node: Any, shape: Shape) -> Shape:
        for name in names:
            _broadcast(name, getattr(node, name), shape)
        return shape

    return rule


def _declared(node: Any, shape: Shape) -> Shape:
    if node.shape != shape:
        raise ShapeMismatchError(f"input {shape} differs from its shape {node.shape}")
    return shape


def _boundary(node: nir.Input | nir.Output, shape: Shape) -> Shape:
    declared = declared_shape(node)
    if (
        declared is not None
        and declared != shape
        and not (type(node) is nir.Output and _same_but_ones(declared, shape))
    ):
        raise ShapeMismatchError(f"input {shape} differs from its declared shape {declared}")
    return shape


def _same_but_ones(left: Shape, right: Shape) -> bool:
    """Whether two shapes differ by axes of size 1 alone, as Rockpool's exporter writes them; ``check`` warns."""
    return [n for n in left if n != 1] == [n for n in right if n != 1]


def _flatten(node: nir.Flatten, shape: Shape) -> Shape:
    start, end = (int(d) + (len(shape) if d < 0 else 0) for d in (node.start_dim, node.end_dim))
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
    nir.Input: _boundary,
    nir.Output: _boundary,
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Scale: _elementwise("scale"),
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    nir.SumPool2d: _pool,
    nir.AvgPool2d: _pool,
    nir.Flatten: _flatten,
    nir.Delay: _elementwise("delay"),
    nir.Threshold: _elementwise("threshold"),
    nir.I: _elementwise("r"),
    nir.IF: _elementwise("r", "v_threshold", "v_reset"),
    nir.LI: _elementwise("tau", "r", "v_leak"),
    nir.LIF: _elementwise("tau", "r", "v_leak", "v_threshold", "v_reset"),
    nir.CubaLI: _elementwise("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    nir.CubaLIF: _elementwise("tau_syn", "tau_mem", "r", "v_leak", "v_threshold", "v_reset", "w_in"),
    EventInput: _declared,
    MultiLevelLIF: _declared,
    PhaseIF: _declared,
    PhaseEncode: _declared,
    PhaseDecode: _declared,
    MaxPool2d: _pool,
    TemporalMix: lambda node, shape: shape,
    Aggregate: _aggregate,
    Place: _fixed_shapes,
    Product: _fixed_shapes,
    Quantize: _declared,
}


def add_rule(kind: type[nir.NIRNode], like: type[nir.NIRNode]) -> None:
    """Gives a node that exists between passes only the shape rule of a primitive."""
    _RULES[kind] = _RULES[like]


def declared_shape(node: nir.NIRNode) -> Shape | None:
    """The input shape that a node states by itself, ``None`` where it takes what comes."""
    if isinstance(getattr(node, "shape", None), tuple):
        return tuple(node.shape)
    stated = (node.input_type or {}).get("input")
    return None if stated is None else tuple(int(n) for n in np.atleast_1d(stated))


def infer_shapes(flat: FlatGraph) -> tuple[dict[str, Shapes], list[Problem]]:
    """The shapes of every node that data reach, and what does not fit.

    A node that fails gets no shapes, and neither does what depends on it alone, so one mistake is one problem.
    """
    order = flat.topology()
    forward: dict[str, list[str]] = {name: [] for name in flat.nodes}
    backward: list[tuple[str, str]] = []
    for (source, target), late in zip(flat.edges, order.delayed, strict=True):
        if late:
            backward.append((source, target))
        else:
            forward[target].append(source)
    shapes: dict[str, Shapes] = {}
    problems: list[Problem] = []
    for name in order.order:
        node = flat.nodes[name]
        try:
            incoming = _incoming(node, [(s, shapes[s].output) for s in forward[name] if s in shapes])
            if incoming is None:
                if type(node) is nir.Input:
                    raise ShapeMismatchError("it states no shape")
                continue
            shapes[name] = Shapes(incoming, shape_rule(node)(node, incoming))
        except ShapeMismatchError as error:
            derived = _derivation(name, forward, shapes)
            next_step = f"{derived}compare it with the nodes before" if derived else "Compare it with the nodes before"
            problems.append(Problem(label(name, node), str(error), next_step, "shapes_agree"))
        except (ArithmeticError, AttributeError, IndexError, TypeError, ValueError) as error:
            # A file can hold anything in a field: text for a stride, infinity for a shape.
            found = f"a field that its shape follows from does not fit ({error})"
            problems.append(Problem(label(name, node), found, "Export the graph again", "shapes_agree"))
    for source, target in backward:
        if source in shapes and target in shapes and shapes[source].output != shapes[target].input:
            found = f"the recurrent edge from '{source}' brings {shapes[source].output}, not {shapes[target].input}"
            problems.append(Problem(label(target, flat.nodes[target]), found, "Fix the edge", "shapes_agree"))
    return shapes, problems


_DERIVATION = 4


def _derivation(name: str, forward: dict[str, list[str]], shapes: dict[str, Shapes]) -> str:
    """The last steps by which the shape came about: ``Derived: 'input' (3,) -> 'fc' (4,); ``."""
    steps: list[str] = []
    while len(steps) <= _DERIVATION:
        known = [source for source in forward[name] if source in shapes]
        if not known:
            break
        name = known[0]
        steps.append(f"'{name}' {shapes[name].output}")
    if not steps:
        return ""
    beginning = ["..."] if len(steps) > _DERIVATION else []
    return f"Derived: {' -> '.join([*beginning, *reversed(steps[:_DERIVATION])])}; "


def _incoming(node: nir.NIRNode, sources: list[tuple[str, Shape]]) -> Shape | None:
    """The one shape that all sources agree on; what the node declares where there are none."""
    if not sources:
        return declared_shape(node)
    first, shape = sources[0]
    for other, found in sources[1:]:
        if found != shape:
            raise ShapeMismatchError(f"'{first}' brings {shape} and '{other}' brings {found}, which do not add up")
    return shape


def shape_rule(node: nir.NIRNode) -> Rule:
    """The rule of exactly this type.

    Raises:
        ShapeMismatchError: the type is no primitive.
    """
    rule = _RULES.get(type(node))
    if rule is None:
        raise ShapeMismatchError(f"type {type(node).__name__!r} is no NIR primitive")
    return rule


def set_types(graph: nir.NIRGraph) -> None:
    """Fills ``input_type`` and ``output_type`` of the graph's nodes with the inferred shapes, where they are known."""
    flat = flatten(graph)
    shapes, _ = infer_shapes(flat)
    for name, found in shapes.items():
        node = flat.nodes[name]
        if type(node) in STATES_ITS_SHAPE:
            continue
        node.input_type = {"input": np.array(found.input, dtype=np.int64)}
        node.output_type = {"output": np.array(found.output, dtype=np.int64)}


def build_graph(
    nodes: dict[str, nir.NIRNode], edges: list[tuple[str, str]], metadata: Mapping[str, Any] | None = None
) -> nir.NIRGraph:
    """A graph whose types are inferred by nirbridge; NIR's own check does not know the extension primitives.

    An ``Output`` made without a shape, ``nir.Output(None)``, gets the one that arrives.

    Raises:
        GraphError: an edge dangles or shapes do not fit; the error lists every problem.
    """
    nodes = {name: with_numpy_parameters(node) for name, node in nodes.items()}
    flat = flatten(nir.NIRGraph(nodes, edges, type_check=False))
    shapes, problems = infer_shapes(flat)
    if flat.problems or problems:
        raise GraphError.from_problems([*flat.problems, *problems])
    for name in flat.outputs:
        if declared_shape(flat.nodes[name]) is None and name in shapes:
            nodes[name] = nir.Output(np.array(shapes[name].output, dtype=np.int64))
    graph = nir.NIRGraph(nodes, edges, metadata=dict(metadata or {}), type_check=False)
    set_types(graph)
    return graph
