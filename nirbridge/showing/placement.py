"""Where everything stands in a picture of a graph: ranks from top to bottom, in columns from left to right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nirbridge.showing.bundling import Bundles, choose_bundles
from nirbridge.showing.columns import choose_columns
from nirbridge.showing.layering import Layered, Link, find_ranks, make_layers
from nirbridge.showing.ordering import order_layers
from nirbridge.showing.positions import place_vertices

Size = tuple[float, float]
GAP_BELOW = 40.0
"""Height of the space between two ranks, in which edges move sideways."""
TRACK = 9.0
"""Distance between edges that lead to the next column."""
LANE = 4.0
LABELLED_LANE = 44.0
"""A lane that carries the words "1 step"."""
BUS = 34.0
"""Room beside a column for the lines that bundled edges share."""


@dataclass(frozen=True)
class Placement:
    """A graph whose boxes have their places; y grows downwards.

    Attributes:
        layered: the vertices and the routes of the edges that have a line of their own.
        bundles: which edges those are, and which share a line.
        x: centre of every vertex.
        top: upper edge of every vertex's rank.
        bottom: lower edge of every vertex's rank.
        column: column of every vertex.
        sizes: width and height of every node's box.
        rights: right edge of every column.
        cuts: the links that lead from each column to the next, from left to right.
        width: of everything.
        height: of everything.
    """

    layered: Layered
    bundles: Bundles
    x: list[float]
    top: list[float]
    bottom: list[float]
    column: list[int]
    sizes: Mapping[str, Size]
    rights: list[float]
    cuts: list[list[tuple[int, int]]]
    width: float
    height: float


def place_boxes(sizes: Mapping[str, Size], edges: Sequence[Link]) -> Placement:
    """Places the boxes ``sizes``, given in the order of execution, and routes ``edges`` between them."""
    ranks = find_ranks(tuple(sizes), edges)
    bundles = choose_bundles(ranks, edges)
    layered = make_layers(ranks, [edges[number] for number in bundles.drawn])
    layers = order_layers(layered)
    widths = _widths(layered, sizes)
    x = place_vertices(layers, layered, widths)
    heights = [0.0] * len(layers)
    for name, vertex in layered.box.items():
        heights[layered.rank[vertex]] = max(heights[layered.rank[vertex]], sizes[name][1])
    passing = [0] * len(layers)
    for upper, _ in layered.links:
        passing[layered.rank[upper]] += 1
    whole = max((x[v] + w / 2 for v, w in enumerate(widths)), default=0.0)
    columns = choose_columns([h + GAP_BELOW for h in heights], whole, passing)
    column = [columns[rank] for rank in layered.rank]
    cuts = _cuts(layered, column, x)
    shifts, rights = _shift_columns(column, x, widths, cuts, BUS if bundles.count else 0.0)
    tops, bottoms = _stack(heights, columns, cuts)
    return Placement(
        layered=layered,
        bundles=bundles,
        x=[value + shifts[column[vertex]] for vertex, value in enumerate(x)],
        top=[tops[rank] for rank in layered.rank],
        bottom=[bottoms[rank] for rank in layered.rank],
        column=column,
        sizes=sizes,
        rights=rights,
        cuts=cuts,
        width=max(rights, default=0.0),
        height=_height(bottoms, columns, cuts),
    )


def _widths(layered: Layered, sizes: Mapping[str, Size]) -> list[float]:
    widths = [LANE] * len(layered.rank)
    for name, vertex in layered.box.items():
        widths[vertex] = sizes[name][0]
    for route in layered.routes:
        if route[1] in layered.anchor:
            widths[route[1]] = LABELLED_LANE
    return widths


def _cuts(layered: Layered, column: Sequence[int], x: Sequence[float]) -> list[list[tuple[int, int]]]:
    cuts: list[list[tuple[int, int]]] = [[] for _ in range(max(column, default=0))]
    for upper, lower in layered.links:
        if column[upper] != column[lower]:
            cuts[column[upper]].append((upper, lower))
    for cut in cuts:
        cut.sort(key=lambda link: (x[link[0]], x[link[1]]))
    return cuts


def _shift_columns(
    column: Sequence[int],
    x: Sequence[float],
    widths: Sequence[float],
    cuts: Sequence[Sequence[tuple[int, int]]],
    room: float,
) -> tuple[list[float], list[float]]:
    """How far each column moves so that they stand side by side, and where each then ends, with ``room`` beside it."""
    count = max(column, default=0) + 1
    lefts, ends = [float("inf")] * count, [0.0] * count
    for vertex, number in enumerate(column):
        lefts[number] = min(lefts[number], x[vertex] - widths[vertex] / 2)
        ends[number] = max(ends[number], x[vertex] + widths[vertex] / 2)
    shifts, rights, start = [], [], 0.0
    for number in range(count):
        left = lefts[number] if lefts[number] != float("inf") else 0.0
        shifts.append(start - left)
        rights.append(ends[number] + shifts[-1] + room)
        start = rights[-1] + 2 * GAP_BELOW + TRACK * (len(cuts[number]) if number < len(cuts) else 0)
    return shifts, rights


def _stack(
    heights: Sequence[float], columns: Sequence[int], cuts: Sequence[Sequence[tuple[int, int]]]
) -> tuple[list[float], list[float]]:
    """Top and bottom of every rank; all columns begin at one height, below the tracks that lead into them."""
    start = GAP_BELOW + TRACK * max(map(len, cuts), default=0) if cuts else GAP_BELOW / 2
    tops: list[float] = []
    bottoms: list[float] = []
    for rank, height in enumerate(heights):
        first = rank == 0 or columns[rank] != columns[rank - 1]
        tops.append(start if first else bottoms[-1] + GAP_BELOW)
        bottoms.append(tops[-1] + height)
    return tops, bottoms


def _height(bottoms: Sequence[float], columns: Sequence[int], cuts: Sequence[Sequence[tuple[int, int]]]) -> float:
    tracks = [TRACK * len(cuts[column]) if column < len(cuts) else 0.0 for column in columns]
    return max((bottom + track for bottom, track in zip(bottoms, tracks, strict=True)), default=0.0) + GAP_BELOW
