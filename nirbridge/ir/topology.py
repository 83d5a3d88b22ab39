"""The order of a graph: which edge closes a cycle, and in which order the nodes run.

Works on names and edges alone, so every user of a graph sees the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Edge = tuple[str, str]
T = TypeVar("T")


@dataclass(frozen=True)
class Source:
    """One edge into a node: the name of the sender, and whether it carries the previous step's value."""

    name: str
    delayed: bool = False


@dataclass(frozen=True)
class Topology:
    """The execution order of a flat graph, and its wiring.

    Attributes:
        order: every node once; forward edges lead from earlier to later, and a cycle's nodes stand together.
        delayed: for each edge, in the order given, whether it closes a cycle and carries the previous step's value.
        loop: the number of the cycle that a node belongs to; nodes outside of cycles are absent.
        incoming: for each node the edges into it, in the order given.
        outgoing: for each node the nodes that its edges lead to, in the order given.
    """

    order: tuple[str, ...]
    delayed: tuple[bool, ...]
    loop: dict[str, int]
    incoming: dict[str, tuple[Source, ...]]
    outgoing: dict[str, tuple[str, ...]]


def find_topology(nodes: Sequence[str], edges: Sequence[Edge], roots: Iterable[str]) -> Topology:
    """Orders a graph by a depth-first walk from ``roots`` that follows edges in the order given.

    An edge to a node that the walk is still inside of closes a cycle.  The result depends only on the order of nodes
    and edges, which files keep.
    """
    targets: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        targets[source].append(target)
    finished = postorder([*roots, *nodes], targets.__getitem__)
    position = {name: index for index, name in enumerate(reversed(finished))}
    # A depth-first walk finishes a node after all it leads to, save along the edges that close a cycle.
    delayed = tuple(position[source] >= position[target] for source, target in edges)
    incoming: dict[str, list[Source]] = {name: [] for name in nodes}
    for (source, target), late in zip(edges, delayed, strict=True):
        incoming[target].append(Source(source, late))
    component = _components(position, incoming)
    order = sorted(nodes, key=lambda name: (component[name], position[name]))
    return Topology(tuple(order), delayed, _loops(component, edges), _frozen(incoming), _frozen(targets))


def _frozen(lists: dict[str, list[T]]) -> dict[str, tuple[T, ...]]:
    return {name: tuple(found) for name, found in lists.items()}


def reached(starts: Iterable[str], onward: Callable[[str], Iterable[str]]) -> set[str]:
    """The nodes that one comes to from ``starts``, these included, where ``onward`` gives those next to a node."""
    pending = list(starts)
    found = set(pending)
    while pending:
        following = set(onward(pending.pop())) - found
        found |= following
        pending += following
    return found


def postorder(starts: Iterable[str], onward: Callable[[str], Iterable[str]]) -> list[str]:
    """The same nodes in the order of leaving a depth-first walk: each behind those next to it, but in a cycle."""
    entered: set[str] = set()
    finished: list[str] = []
    for start in starts:
        if start in entered:
            continue
        entered.add(start)
        stack = [(start, iter(onward(start)))]
        while stack:
            name, rest = stack[-1]
            child = next((c for c in rest if c not in entered), None)
            if child is None:
                finished.append(name)
                stack.pop()
            else:
                entered.add(child)
                stack.append((child, iter(onward(child))))
    return finished


def _components(order: Iterable[str], incoming: Mapping[str, list[Source]]) -> dict[str, int]:
    """The number of the strongly connected component of each node; edges between them lead to higher numbers.

    ``order`` is that of leaving a depth-first walk, the last first (Kosaraju).
    """
    component: dict[str, int] = {}
    for index, start in enumerate(order):
        pending = [start] if start not in component else []
        while pending:
            name = pending.pop()
            if name not in component:
                component[name] = index
                pending.extend(source.name for source in incoming[name])
    return component


def _loops(component: dict[str, int], edges: Sequence[Edge]) -> dict[str, int]:
    cyclic = {component[source] for source, target in edges if component[source] == component[target]}
    return {name: number for name, number in component.items() if number in cyclic}
