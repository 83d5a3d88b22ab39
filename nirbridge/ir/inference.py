"""The shapes of a whole graph, from its inputs on."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.errors import GraphError, Problem
from nirbridge.ir.flat import FlatGraph, flatten, label
from nirbridge.ir.normal_form import normal_form
from nirbridge.ir.once import once
from nirbridge.ir.registry import find_spec
from nirbridge.ir.stated_shapes import (
    declared_shape,
    entering_shape,
    made_shape,
    require_stated,
    shape_by_nir,
    states_its_shape,
)
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.shaping import ShapeMismatchError

_UNFIT = (ArithmeticError, AttributeError, IndexError, TypeError, ValueError)
"""What a rule raises where a file holds text for a stride, infinity for a shape, and so on."""


@dataclass(frozen=True)
class Shapes:
    """The shape of what enters and of what leaves a node, without time and batch."""

    input: Shape
    output: Shape


@once
def infer_shapes(flat: FlatGraph) -> tuple[dict[str, Shapes], list[Problem]]:
    """The shapes of every node, and what does not fit.

    A node that fails gets no shapes, and neither does what depends on it alone, so one mistake is one problem.  In a
    cycle that no data reach, shapes follow from the node that states its own best.
    """
    shapes, problems = _inferred(flat)
    return shapes, _batch_axes(flat) or problems if problems else []


def _inferred(flat: FlatGraph) -> tuple[dict[str, Shapes], list[Problem]]:
    order = flat.topology
    shapes: dict[str, Shapes] = {}
    by_nir: dict[str, Shape | None] = {}
    entries: dict[str, Shape] = {}
    rounds: set[int] = {-1}  # cycles that entries have been looked for in, and -1 for nodes outside of cycles
    problems: list[Problem] = []
    for name in order.order:
        node = flat.nodes[name]
        sources = [s for s in flat.forward_sources(name) if s in shapes]
        try:
            if not sources and order.loop.get(name, -1) not in rounds:
                rounds.add(order.loop.get(name, -1))
                entries |= _round_the_cycle(flat, name)
            incoming = _incoming([(s, shapes[s].output) for s in sources])
            if incoming is None:
                incoming = entries[name] if name in entries else _start(flat, name)
            if incoming is None:
                continue
            stated_by_nir = next((by_nir[s] for s in sources), incoming)
            require_stated(node, incoming, stated_by_nir)
            shapes[name] = Shapes(incoming, _required(made_shape(node, incoming), incoming))
            by_nir[name] = None if stated_by_nir is None else shape_by_nir(node, stated_by_nir)
        except ShapeMismatchError as error:
            derived = _derivation(name, flat, shapes)
            next_step = f"{derived}compare it with the nodes before" if derived else "Compare it with the nodes before"
            problems.append(Problem(label(name, node), str(error), next_step, "shapes_agree"))
        except _UNFIT as error:
            found = f"a field that its shape follows from does not fit ({error})"
            problems.append(Problem(label(name, node), found, "Export the graph again", "shapes_agree"))
    for (source, target), late in zip(flat.edges, order.delayed, strict=True):
        if late and source in shapes and target in shapes and shapes[source].output != shapes[target].input:
            found = f"the recurrent edge from '{source}' brings {shapes[source].output}, not {shapes[target].input}"
            problems.append(Problem(label(target, flat.nodes[target]), found, "Fix the edge", "shapes_agree"))
    return shapes, problems


def _start(flat: FlatGraph, name: str) -> Shape | None:
    """What enters a node that nothing leads to."""
    node = flat.nodes[name]
    shape = entering_shape(node, [flat.nodes[target] for target in flat.targets(name)])
    if shape is None and type(node) is nir.Input:
        raise ShapeMismatchError("it states no shape")
    return shape


def _round_the_cycle(flat: FlatGraph, name: str) -> dict[str, Shape]:
    """What enters the nodes of the cycle of ``name``, followed round from the node whose own shape says most."""
    order, loop = flat.topology.order, flat.topology.loop
    members = {other for other, number in loop.items() if number == loop[name]}
    first = min((other for other in order if other in members), key=lambda other: _vagueness(flat.nodes[other]))
    shape = declared_shape(flat.nodes[first])
    entries = {} if shape is None else {first: shape}
    pending = list(entries)
    while pending:
        source = pending.pop()
        try:
            output = made_shape(flat.nodes[source], entries[source])
        except (ShapeMismatchError, *_UNFIT):
            continue  # the node itself will say so
        following = [target for target in flat.targets(source) if target in members and target not in entries]
        entries |= dict.fromkeys(following, output)
        pending += following
    return entries


def _vagueness(node: nir.NIRNode) -> int:
    """0 for a node that states its whole shape, more for one that takes others too, and scalars fit everything."""
    try:
        shape = declared_shape(node)
    except (ShapeMismatchError, *_UNFIT):
        return 3
    if shape is None:
        return 3
    spec = find_spec(type(node))
    if spec is not None and spec.parameters:
        return 0 if np.prod(shape, dtype=object) > 1 else 2
    return 1 if spec is not None and spec.operation == "matrix" else 0


def _incoming(sources: list[tuple[str, Shape]]) -> Shape | None:
    """The one shape that all sources agree on, None where there are none."""
    for other, found in sources[1:]:
        first, shape = sources[0]
        if found != shape:
            raise ShapeMismatchError(f"'{first}' brings {shape} and '{other}' brings {found}, which do not add up")
    return sources[0][1] if sources else None


def _required(output: Shape, incoming: Shape) -> Shape:
    for shape in (incoming, output):
        if shape and min(shape) < 1:
            raise ShapeMismatchError(f"shape {shape} holds no value: every axis needs at least 1")
    return output


def _batch_axes(flat: FlatGraph) -> list[Problem]:
    """Whether all shapes fit once the inputs lose their first one or two axes: then these count samples or steps."""
    inputs = [name for name in flat.inputs if type(flat.nodes[name]) is nir.Input]
    for axes, said in ((1, "first axis is probably the batch"), (2, "first two axes are probably time and batch")):
        try:
            stated = {name: declared_shape(flat.nodes[name]) or () for name in inputs}
        except ShapeMismatchError:
            return []
        if not inputs or min(map(len, stated.values())) <= axes:
            return []
        leading = {shape[:axes] for shape in stated.values()}
        bare = {name: _bare(node, axes, leading) for name, node in flat.nodes.items()}
        if not _inferred(flat.with_nodes(bare))[1]:
            return [
                Problem(
                    label(name, flat.nodes[name]),
                    f"states shape {shape}, whose {said}: without it all shapes agree",
                    f"State {shape[axes:]}; NIR's shapes hold neither time nor batch",
                    "shapes_agree",
                )
                for name, shape in stated.items()
            ]
    return []


def _bare(node: nir.NIRNode, axes: int, leading: set[Shape]) -> nir.NIRNode:
    """An Input or Output without its first axes, where they are those of the inputs."""
    if type(node) not in (nir.Input, nir.Output):
        return node
    try:
        shape = declared_shape(node)
    except ShapeMismatchError:
        return node
    if shape is None or shape[:axes] not in leading:
        return node
    bare = copy(node)
    bare.input_type, bare.output_type = {"input": np.array(shape[axes:])}, {"output": np.array(shape[axes:])}
    return bare


_DERIVATION = 4


def _derivation(name: str, flat: FlatGraph, shapes: dict[str, Shapes]) -> str:
    """The last steps by which the shape came about: ``Derived: 'input' (3,) -> 'fc' (4,); ``."""
    steps: list[str] = []
    while len(steps) <= _DERIVATION:
        known = [source for source in flat.forward_sources(name) if source in shapes]
        if not known:
            break
        name = known[0]
        steps.append(f"'{name}' {shapes[name].output}")
    if not steps:
        return ""
    beginning = ["..."] if len(steps) > _DERIVATION else []
    return f"Derived: {' -> '.join([*beginning, *reversed(steps[:_DERIVATION])])}; "


def set_types(flat: FlatGraph) -> None:
    """Fills ``input_type`` and ``output_type`` of the graph's nodes with the inferred shapes, where they are known."""
    for name, found in infer_shapes(flat)[0].items():
        node = flat.nodes[name]
        if states_its_shape(node):
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
    nodes = {name: normal_form(node) for name, node in nodes.items()}
    flat = flatten(nir.NIRGraph(nodes, edges, type_check=False))
    shapes, problems = infer_shapes(flat)
    if flat.problems or problems:
        raise GraphError.from_problems([*flat.problems, *problems])
    for name in flat.outputs:
        if declared_shape(flat.nodes[name]) is None and name in shapes:
            shape = np.array(shapes[name].output, dtype=np.int64)
            nodes[name] = nir.Output(shape, metadata=nodes[name].metadata)
    graph = nir.NIRGraph(nodes, edges, metadata=dict(metadata or {}), type_check=False)
    set_types(flat)
    return graph
