"""Nodes put into and taken out of a flat graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import nir

from nirbridge.ir import FlatGraph, Shapes, infer_shapes


def mapped(flat: FlatGraph, make: Callable[[Any, Shapes], nir.NIRNode]) -> FlatGraph:
    """Each node as ``make`` has it, from the node and the shapes that enter and leave it."""
    shapes, _ = infer_shapes(flat)
    return replace(flat, nodes={name: make(node, shapes[name]) for name, node in flat.nodes.items()})


def with_node_before(flat: FlatGraph, name: str, part: str, node: nir.NIRNode) -> FlatGraph:
    """All that led to ``name`` leads to a new node, and that one to it."""
    new = f"{name}/{part}"
    edges = tuple((source, new if target == name else target) for source, target in flat.edges)
    return with_parts(replace(flat, edges=edges), {new: node}, [(new, name)])


def bypassed(flat: FlatGraph, name: str) -> FlatGraph | None:
    """Without the node, its sources leading to its targets.

    None where an edge would be there twice, or where several sources meet several targets: the node is then where
    they add up.
    """
    sources, targets = flat.sources(name), flat.targets(name)
    if min(len(sources), len(targets)) != 1 or name in sources:
        return None
    edges: list[tuple[str, str]] = []
    for source, target in flat.edges:
        if source == name:
            edges += [(other, target) for other in sources]
        elif target != name:
            edges.append((source, target))
    if len(set(edges)) < len(edges):
        return None
    return replace(flat, nodes={key: node for key, node in flat.nodes.items() if key != name}, edges=tuple(edges))


def with_node(flat: FlatGraph, name: str, node: nir.NIRNode) -> FlatGraph:
    """Another node at the same place."""
    return with_parts(flat, {name: node}, ())


def with_parts(flat: FlatGraph, nodes: Mapping[str, nir.NIRNode], edges: Iterable[tuple[str, str]]) -> FlatGraph:
    """More nodes and edges."""
    return replace(flat, nodes={**flat.nodes, **nodes}, edges=(*flat.edges, *edges))
