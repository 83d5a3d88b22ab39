"""A graph without nesting: the view that shapes, checks and runtimes work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import nir

from nirbridge.errors import Problem
from nirbridge.ir.foreign_arrays import with_numpy_parameters
from nirbridge.ir.registry import INPUTS
from nirbridge.ir.topology import Edge, Topology, find_topology


@dataclass(frozen=True)
class FlatGraph:
    """Nodes by name and edges between them; nodes of nested graphs are named ``outer.inner``.

    The nodes are those of the graph itself, not copies, save where parameters are arrays of another library.  Nested
    ``Input`` and ``Output`` nodes are gone: edges run through them.  Repeated edges stay and add up.
    """

    nodes: dict[str, nir.NIRNode]
    edges: tuple[Edge, ...]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes through which data enter."""
        return tuple(name for name, node in self.nodes.items() if type(node) in INPUTS)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the nodes through which data leave."""
        return tuple(name for name, node in self.nodes.items() if type(node) is nir.Output)

    def topology(self) -> Topology:
        """The execution order."""
        return find_topology(tuple(self.nodes), self.edges, self.inputs)


def label(name: str, node: nir.NIRNode) -> str:
    """How messages name a node."""
    return f"node '{name}' ({type(node).__name__})"


def flatten(graph: nir.NIRGraph) -> FlatGraph:
    """The graph with all nesting resolved; what is wrong with its structure stands in ``problems``."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[Edge] = []
    problems: list[Problem] = []
    _collect(graph, "", nodes, edges, problems)
    virtual = [name for name, node in nodes.items() if "." in name and _is_boundary(name, node, graph)]
    for name in virtual:
        edges = _splice(edges, name)
        del nodes[name]
    return FlatGraph(nodes, tuple(edges), tuple(problems))


def _is_boundary(name: str, node: nir.NIRNode, graph: nir.NIRGraph) -> bool:
    """Whether the node is an Input or Output of a nested graph, and not one whose own name has a dot."""
    return type(node) in (nir.Input, nir.Output) and graph.nodes.get(name) is not node


def _collect(
    graph: nir.NIRGraph,
    prefix: str,
    nodes: dict[str, nir.NIRNode],
    edges: list[Edge],
    problems: list[Problem],
) -> None:
    for name, node in graph.nodes.items():
        full = prefix + name
        if type(node) is nir.NIRGraph:
            _collect(node, full + ".", nodes, edges, problems)
        elif full in nodes:
            problems.append(Problem(f"node '{full}'", "its name is taken by a node of a nested graph", "Rename it"))
        else:
            nodes[full] = with_numpy_parameters(node)
    for source, target in graph.edges:
        start = _endpoint(graph, source, prefix, lambda inner: type(inner) is nir.Output, "Output")
        end = _endpoint(graph, target, prefix, lambda inner: type(inner) in INPUTS, "Input")
        for found in (start, end):
            if isinstance(found, Problem):
                problems.append(found)
        if isinstance(start, str) and isinstance(end, str):
            edges.append((start, end))


def _endpoint(
    graph: nir.NIRGraph, name: str, prefix: str, is_port: Callable[[nir.NIRNode], bool], port: str
) -> str | Problem:
    """The flat name of an edge's end; a nested graph stands for its only port, or its port is named by a dot."""
    node = graph.nodes.get(name)
    if node is None:
        outer, _, inner = name.rpartition(".")
        nested = graph.nodes.get(outer)
        if type(nested) is nir.NIRGraph and inner in nested.nodes and is_port(nested.nodes[inner]):
            return prefix + name
        known = ", ".join(list(graph.nodes)[:8])
        return Problem(
            f"edge to or from '{prefix}{name}'", "no node has this name", f"Nodes: {known}", rule="no_dangling_edges"
        )
    if type(node) is not nir.NIRGraph:
        return prefix + name
    ports = [inner for inner, child in node.nodes.items() if is_port(child)]
    if len(ports) == 1:
        return f"{prefix}{name}.{ports[0]}"
    found = f"has {len(ports)} {port} nodes, so an edge must name one as '{name}.{port.lower()}'"
    return Problem(f"node '{prefix}{name}' (NIRGraph)", found, "Name it in the edge", rule="no_dangling_edges")


def _splice(edges: list[Edge], name: str) -> list[Edge]:
    """The edges with ``name`` taken out: all that led to it leads on to all that it led to."""
    targets = [target for source, target in edges if source == name]
    spliced: list[Edge] = []
    for source, target in edges:
        if target == name:
            spliced.extend((source, onward) for onward in targets)
        elif source != name:
            spliced.append((source, target))
    return spliced
