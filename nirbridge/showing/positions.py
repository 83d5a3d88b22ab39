"""Where vertices stand from left to right: as straight below each other as the widths allow."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from nirbridge.showing.layering import Layered

_SWEEPS = 24
_LAST = 8
"""Sweeps at the end that look at the neighbours above and below at once."""
_GAP = 18.0
_STRAIGHT = {2: 4.0, 1: 1.0, 0: 8.0}
"""How strongly a link with so many boxes at its ends pulls: lanes stay straight, chains of boxes nearly so."""

Pull = tuple[int, float]


def place_vertices(layers: list[list[int]], layered: Layered, widths: Sequence[float]) -> list[float]:
    """The centre of every vertex, the leftmost edge at 0."""
    boxes = set(layered.box.values())
    pulls: list[list[list[Pull]]] = [[[] for _ in widths], [[] for _ in widths]]
    for above, below in layered.links:
        weight = _STRAIGHT[(above in boxes) + (below in boxes)]
        pulls[0][below].append((above, weight))
        pulls[1][above].append((below, weight))
    for lane, node in layered.anchor.items():
        pulls[0][lane].append((node, 0.5))
        pulls[1][lane].append((node, 0.5))
    x = [0.0] * len(widths)
    for layer in layers:
        _spread(layer, [0.0] * len(layer), [1.0] * len(layer), widths, x)
    for sweep in range(_SWEEPS):
        both = sweep >= _SWEEPS - _LAST
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            _settle(layer, pulls if both else [pulls[sweep % 2]], widths, x)
    left = min((x[v] - widths[v] / 2 for v in range(len(widths))), default=0.0)
    return [value - left for value in x]


def _settle(layer: list[int], pulls: list[list[list[Pull]]], widths: Sequence[float], x: list[float]) -> None:
    """Moves one rank to the weighted mean of its neighbours, as far as order and widths allow."""
    wanted, weights = [], []
    for vertex in layer:
        found = [pull for side in pulls for pull in side[vertex]]
        total = sum(weight for _, weight in found)
        wanted.append(sum(x[other] * weight for other, weight in found) / total if found else x[vertex])
        weights.append(total if found else 0.1)
    _spread(layer, wanted, weights, widths, x)


def _spread(
    layer: list[int], wanted: list[float], weights: list[float], widths: Sequence[float], x: list[float]
) -> None:
    """Least squares under minimal distances: isotonic regression, by pooling neighbours that would overlap."""
    offsets = [0.0]
    for left, right in pairwise(layer):
        offsets.append(offsets[-1] + (widths[left] + widths[right]) / 2 + _GAP)
    blocks: list[tuple[float, float, int]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, heavier, more = blocks.pop()
            mean = (mean * total + before * heavier) / (total + heavier)
            total, count = total + heavier, count + more
        blocks.append((mean, total, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    for vertex, mean, offset in zip(layer, flat, offsets, strict=True):
        x[vertex] = mean + offset
