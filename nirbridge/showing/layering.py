"""Nodes and edges → ranks, and lanes for the edges that pass a rank by.

A *vertex* is a number: a box for each node, or a lane, a narrow gap through which an edge passes a rank.  All edges
that skip ranks from one node share their lanes, so a residual trunk is one line with branches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

Link = tuple[str, str, bool]
"""Source, target, and whether the edge closes a cycle."""


@dataclass
class Layered:
    """A graph in ranks.

    Attributes:
        box: the vertex of each node.
        rank: the rank of each vertex, by its number.
        anchor: for the ends of a lane beside a node of its own rank: that node's vertex.
        links: (upper, lower) vertices of neighbouring ranks, each once.
        routes: for each edge, the vertices that it meets in the direction of its arrow; an edge that closes a cycle
            climbs from the lane beside its source to the lane beside its target.
    """

    box: dict[str, int] = field(default_factory=dict)
    rank: list[int] = field(default_factory=list)
    anchor: dict[int, int] = field(default_factory=dict)
    links: dict[tuple[int, int], None] = field(default_factory=dict)
    routes: list[list[int]] = field(default_factory=list)

    def add(self, rank: int) -> int:
        """A new vertex."""
        self.rank.append(rank)
        return len(self.rank) - 1

    def layers(self) -> list[list[int]]:
        """The vertices of every rank."""
        found: list[list[int]] = [[] for _ in range(max(self.rank, default=-1) + 1)]
        for vertex, rank in enumerate(self.rank):
            found[rank].append(vertex)
        return found


def make_layers(ranks: Mapping[str, int], edges: Sequence[Link]) -> Layered:
    """Boxes for the nodes of ``ranks``, and lanes for ``edges``."""
    layered = Layered()
    for name, rank in ranks.items():
        layered.box[name] = layered.add(rank)
    trunks: dict[str, list[int]] = {name: [layered.box[name]] for name in ranks}
    for source, target, closing in edges:
        if closing:
            layered.routes.append(_climb(layered, layered.box[source], layered.box[target]))
        else:
            layered.routes.append(_descend(layered, trunks[source], layered.box[target]))
    return layered


def find_ranks(names: Sequence[str], edges: Sequence[Link]) -> dict[str, int]:
    """The rank of each of ``names``, which stand in the order of execution: the longest way from a start.

    A start itself stands just above the first node that it feeds.
    """
    forward = [(source, target) for source, target, closing in edges if not closing]
    sources: dict[str, list[str]] = {name: [] for name in names}
    targets: dict[str, list[str]] = {name: [] for name in names}
    for source, target in forward:
        sources[target].append(source)
        targets[source].append(target)
    ranks: dict[str, int] = {}
    for name in names:
        ranks[name] = max((ranks[source] + 1 for source in sources[name]), default=0)
    for name in names:
        if not sources[name] and targets[name]:
            ranks[name] = min(ranks[target] for target in targets[name]) - 1
    return ranks


def _descend(layered: Layered, trunk: list[int], target: int) -> list[int]:
    """Lengthens the source's trunk to the rank above ``target`` and branches off there."""
    above = layered.rank[target] - 1
    while layered.rank[trunk[-1]] < above:
        lane = layered.add(layered.rank[trunk[-1]] + 1)
        layered.links[trunk[-1], lane] = None
        trunk.append(lane)
    route = trunk[: above - layered.rank[trunk[0]] + 1]
    layered.links[route[-1], target] = None
    return [*route, target]


def _climb(layered: Layered, source: int, target: int) -> list[int]:
    """Lanes of its own for an edge that closes a cycle, from the source's rank up to the target's."""
    lanes = [layered.add(rank) for rank in range(layered.rank[source], layered.rank[target] - 1, -1)]
    for lower, upper in pairwise(lanes):
        layered.links[upper, lower] = None
    layered.anchor[lanes[-1]] = target
    layered.anchor[lanes[0]] = source
    return [source, *lanes, target]
