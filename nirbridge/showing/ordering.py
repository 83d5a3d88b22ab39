"""The order of the vertices within their ranks: few crossings, by the barycentre of the neighbours."""

from __future__ import annotations

from bisect import bisect_right, insort
from itertools import pairwise

from nirbridge.showing.layering import Layered

_SWEEPS = 8
_BESIDE = 1e-3
"""How far right of its node a lane begins, in places."""


def order_layers(layered: Layered) -> list[list[int]]:
    """The vertices of every rank from left to right, the best of several sweeps down and up."""
    layers = layered.layers()
    upper: dict[int, list[int]] = {vertex: [] for vertex in range(len(layered.rank))}
    lower: dict[int, list[int]] = {vertex: [] for vertex in range(len(layered.rank))}
    for above, below in layered.links:
        upper[below].append(above)
        lower[above].append(below)
    place = {vertex: float(i) for layer in layers for i, vertex in enumerate(layer)}
    best, fewest = [list(layer) for layer in layers], count_crossings(layers, lower)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _sort(layer, upper if down else lower, place, layered.anchor)
        crossings = count_crossings(layers, lower)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _sort(layer: list[int], neighbours: dict[int, list[int]], place: dict[int, float], anchor: dict[int, int]) -> None:
    def key(vertex: int) -> float:
        found = neighbours[vertex]
        if found:
            return sum(place[other] for other in found) / len(found)
        return key(anchor[vertex]) + _BESIDE if vertex in anchor else place[vertex]

    layer.sort(key=key)
    for i, vertex in enumerate(layer):
        place[vertex] = float(i)


def count_crossings(layers: list[list[int]], lower: dict[int, list[int]]) -> int:
    """Pairs of links that cross, over all neighbouring ranks."""
    crossings = 0
    for layer, below in pairwise(layers):
        place = {vertex: i for i, vertex in enumerate(below)}
        seen: list[int] = []
        for vertex in layer:
            ends = sorted(place[other] for other in lower[vertex])
            crossings += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return crossings
