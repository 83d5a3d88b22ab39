"""A graph without nesting: the view that shapes, checks and runtimes work on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeAlias

import nir

from nirbridge.errors import GraphError, Problem, brief
from nirbridge.ir.normal_form import normal_form
from nirbridge.ir.registry import find_spec, is_input
from nirbridge.ir.topology import Edge, Source, Topology, find_topology


@dataclass(frozen=True)
class FlatGraph:
    """Nodes by name and edges between them; nodes of nested graphs are named ``outer.inner``.

    The nodes are those of the graph itself, not copies, save where :func:`~nirbridge.ir.normal_form.normal_form` mends
    them.  Nested ``Input`` and ``Output`` nodes are gone: edges run through them.

    What follows from the graph, its order and all that :func:`~nirbridge.ir.once.once` marks, is found when first asked
    for and stays with it: hand the graph on, and nobody finds it again.

    Attributes:
        nodes: by name.
        edges: each once.
        problems: what is wrong with the structure.
        metadata: of the outermost graph.
    """

    nodes: dict[str, nir.NIRNode]
    edges: tuple[Edge, ...]
    problems: tuple[Problem, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes through which data enter."""
        return tuple(name for name, node in self.nodes.items() if is_input(node))

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the nodes through which data leave."""
        return tuple(name for name, node in self.nodes.items() if type(node) is nir.Output)

    @cached_property
    def topology(self) -> Topology:
        """The execution order and the wiring.

        The walk starts at the inputs.  In a cycle that no data reach it starts behind a neuron, so that the edge out
        of a neuron closes the cycle and biases reach the neurons at the first step, whatever the order of the nodes.
        """
        behind = (t for s, t in self.edges if _is_neuron(self.nodes[s]) and not _is_neuron(self.nodes[t]))
        return find_topology(tuple(self.nodes), self.edges, (*self.inputs, *behind))

    @property
    def incoming(self) -> Mapping[str, tuple[Source, ...]]:
        """For each node the edges into it, in the order of ``edges``."""
        return self.topology.incoming

    def sources(self, name: str) -> tuple[str, ...]:
        """The senders of the edges into a node."""
        return tuple(source.name for source in self.incoming[name])

    def forward_sources(self, name: str) -> tuple[str, ...]:
        """The senders of the edges into a node that close no cycle."""
        return tuple(source.name for source in self.incoming[name] if not source.delayed)

    def targets(self, name: str) -> tuple[str, ...]:
        """The nodes that the edges out of a node lead to."""
        return self.topology.outgoing[name]

    def with_nodes(self, nodes: dict[str, nir.NIRNode]) -> FlatGraph:
        """The graph with others in place of its nodes: inputs for inputs, neurons for neurons, so the order stays."""
        changed = replace(self, nodes=nodes)
        vars(changed)["topology"] = self.topology
        return changed


Graph: TypeAlias = nir.NIRGraph | FlatGraph
"""A graph, or what :func:`flatten` made of it, which nobody analyses again."""


def _is_neuron(node: nir.NIRNode) -> bool:
    spec = find_spec(type(node))
    return spec is not None and spec.is_neuron


MAX_DEPTH = 16
"""Graphs within graphs: deeper ones are refused, as one that holds itself is."""

_Path = tuple[str, ...]
_PathEdges = dict[tuple[_Path, _Path], int]
"""Edges between nodes by the names of the graphs around them → how often each is there, counted up to 2."""


def label(name: str, node: nir.NIRNode) -> str:
    """How messages name a node."""
    return f"node '{name}' ({type(node).__name__})"


def flatten(graph: Graph) -> FlatGraph:
    """The graph with all nesting resolved; what is wrong with its structure stands in ``problems``.

    An edge that is there twice, in the list or by two ways through nested graphs, is a problem and counts once.  A flat
    graph is given back, with all that was found about it.

    Raises:
        GraphError: it is no graph, or graphs are nested too deep.
    """
    if isinstance(graph, FlatGraph):
        return graph
    if not isinstance(graph, nir.NIRGraph):
        raise GraphError("graph", f"{brief(graph)} is no NIRGraph", "Read a file by nirbridge.read, export a module")
    found = _Collected()
    _collect(graph, (), found)
    edges = found.edges
    ports = [path for path, node in found.nodes.items() if len(path) > 1 and type(node) in (nir.Input, nir.Output)]
    for path in ports:
        if edges.pop((path, path), 0):
            where, about = label(".".join(path), found.nodes[path]), "what it hands on comes back to it through no node"
            found.problems.append(Problem(where, about, "Put one between", rule="cycles_hold_a_node"))
        edges = _splice(edges, path)
    names = _names(found)
    nodes = {names[path]: node for path, node in found.nodes.items() if path in names and path not in set(ports)}
    flat = {(names[s], names[t]): times for (s, t), times in edges.items() if s in names and t in names}
    found.problems += [
        Problem(
            f"edge '{source}' -> '{target}'",
            "is there twice, by two ways through nested graphs",
            "Remove one, or double the signal by a Scale of 2",
            rule="edges_are_listed_once",
        )
        for (source, target), times in flat.items()
        if times > 1
    ]
    return FlatGraph(nodes, tuple(flat), tuple(found.problems), graph.metadata)


def edge_problems(graph: nir.NIRGraph, prefix: str = "") -> list[Problem]:
    """What is wrong with a graph's own list of edges, whatever they lead to: no pair of names, or an edge listed twice.

    Source: NIR 1.0.8 refuses the same when it builds a graph with its type check.
    """
    problems = []
    times: Counter[Edge] = Counter()
    for edge in graph.edges:
        if _is_edge(edge):
            times[edge[0], edge[1]] += 1
        else:
            found = f"{brief(edge)} is no pair of names"
            problems.append(Problem("edges", found, "Give (source, target)", rule="edges_are_pairs"))
    for (source, target), count in times.items():
        if count > 1:
            where = f"edge '{prefix}{source}' -> '{prefix}{target}'"
            found = "is listed twice" if count == 2 else f"is listed {count} times"
            problems.append(Problem(where, found, "Remove all but one", rule="edges_are_listed_once"))
    return problems


def _is_edge(edge: Any) -> bool:
    return isinstance(edge, (tuple, list)) and len(edge) == 2 and all(isinstance(name, str) for name in edge)


@dataclass
class _Collected:
    """What the walk through nested graphs found so far; ports of nested graphs are still nodes."""

    nodes: dict[_Path, nir.NIRNode] = field(default_factory=dict)
    edges: _PathEdges = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def _collect(graph: nir.NIRGraph, outer: _Path, found: _Collected) -> None:
    if len(outer) > MAX_DEPTH:
        raise GraphError(f"node '{outer[0]}'", f"graphs are nested deeper than {MAX_DEPTH}", "Flatten some")
    for name, node in graph.nodes.items():
        path = (*outer, name)
        if not isinstance(name, str) or not name:
            where = f"node {brief(name)}"
            found.problems.append(Problem(where, "its name is empty or no text", "Rename it", rule="names_are_texts"))
        elif type(node) is nir.NIRGraph:
            _collect(node, path, found)
        else:
            found.nodes[path] = normal_form(node)
    prefix = "".join(f"{name}." for name in outer)
    found.problems += edge_problems(graph, prefix)
    for source, target in dict.fromkeys(tuple(edge) for edge in graph.edges if _is_edge(edge)):
        start = _endpoint(graph, source, prefix, lambda inner: type(inner) is nir.Output, "Output")
        end = _endpoint(graph, target, prefix, is_input, "Input")
        found.problems += [it for it in (start, end) if isinstance(it, Problem)]
        if not isinstance(start, Problem) and not isinstance(end, Problem):
            _count(found.edges, (*outer, *start), (*outer, *end), 1)


def _endpoint(
    graph: nir.NIRGraph, name: str, prefix: str, is_port: Callable[[nir.NIRNode], bool], port: str
) -> _Path | Problem:
    """The path of an edge's end; a nested graph stands for its only port, or its port is named by a dot."""
    node = graph.nodes.get(name)
    if node is None:
        for dot in (place for place, letter in enumerate(name) if letter == "."):
            nested, inner = graph.nodes.get(name[:dot]), name[dot + 1 :]
            if type(nested) is nir.NIRGraph and inner in nested.nodes:
                if is_port(nested.nodes[inner]):
                    return name[:dot], inner
                where = f"edge to or from '{prefix}{name}'"
                found = f"it lies inside of '{prefix}{name[:dot]}', which edges enter and leave by its ports"
                return Problem(where, found, f"Lead it through an {port} node", rule="no_dangling_edges")
        known = ", ".join(map(brief, list(graph.nodes)[:8]))
        return Problem(
            f"edge to or from '{prefix}{name}'", "no node has this name", f"Nodes: {known}", rule="no_dangling_edges"
        )
    if type(node) is not nir.NIRGraph:
        return (name,)
    ports = [inner for inner, child in node.nodes.items() if is_port(child)]
    if len(ports) == 1:
        return name, ports[0]
    found = f"has {len(ports)} {port} nodes, so an edge must name one as '{name}.{port.lower()}'"
    return Problem(f"node '{prefix}{name}' (NIRGraph)", found, "Name it in the edge", rule="no_dangling_edges")


def _splice(edges: _PathEdges, port: _Path) -> _PathEdges:
    """The edges with ``port`` taken out: all that led to it leads on to all that it led to."""
    targets = {target: times for (source, target), times in edges.items() if source == port}
    spliced: _PathEdges = {}
    for (source, target), times in edges.items():
        if target == port:
            for onward, again in targets.items():
                _count(spliced, source, onward, times * again)
        elif source != port:
            _count(spliced, source, target, times)
    return spliced


def _count(edges: _PathEdges, source: _Path, target: _Path, times: int) -> None:
    edges[source, target] = min(2, edges.get((source, target), 0) + times)


def _names(found: _Collected) -> dict[_Path, str]:
    """The flat name of every node; one whose name another has, be it a port, is a problem and gets none."""
    names: dict[_Path, str] = {}
    taken: set[str] = set()
    for path in found.nodes:
        name = ".".join(path)
        if name in taken:
            about = "its name is taken by a node of a nested graph"
            found.problems.append(Problem(f"node '{name}'", about, "Rename it", rule="names_are_unique"))
        else:
            taken.add(name)
            names[path] = name
    return names
