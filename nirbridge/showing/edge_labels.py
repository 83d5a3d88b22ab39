"""Where the shapes of edges stand in a picture: beside their lines, on no box, no other line and no other text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil, hypot

from nirbridge.showing.drawing import text_width
from nirbridge.showing.placement import Placement

Point = tuple[float, float]
Rectangle = tuple[float, float, float, float]
"""Left, top, right and bottom."""
LABEL_SIZE = 10
_HEIGHT = 12.0
_BESIDE = 5.0
_STEP = 4.0
"""Between two points of a line that are looked at."""
_FIRST = 12.0
"""From the foot of the source to the middle of a label that stands below it."""
_CELL = 32.0
_OUTSIDE = 80.0
"""How far a label may reach beyond the boxes and lanes."""
_LIFTS = (0.0, -8.0, 8.0)
_COMMAND = re.compile(r"([MLHVCQ])([^MLHVCQ]*)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class _Taken:
    """Rectangles that are in use, found by cells of a grid."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], list[Rectangle]] = {}

    def add(self, one: Rectangle) -> None:
        for cell in self._cells_of(one):
            self._cells.setdefault(cell, []).append(one)

    def meets(self, one: Rectangle) -> bool:
        left, top, right, bottom = one
        return any(
            left < other[2] and other[0] < right and top < other[3] and other[1] < bottom
            for cell in self._cells_of(one)
            for other in self._cells.get(cell, ())
        )

    def _cells_of(self, one: Rectangle) -> Iterable[tuple[int, int]]:
        for x in range(int(one[0] // _CELL), int(one[2] // _CELL) + 1):
            for y in range(int(one[1] // _CELL), int(one[3] // _CELL) + 1):
                yield x, y


def place_edge_labels(
    paths: Sequence[str], texts: Sequence[str], placement: Placement, others: Iterable[Rectangle]
) -> list[Point | None]:
    """Where each label begins at the left, half way up, as near to the edge's source as there is room.

    Args:
        paths: of the edges, as SVG path data.
        texts: what each label says.
        placement: of the boxes.
        others: what else must stay free.

    Returns:
        One place for each edge; None where there is no room.
    """
    taken = _Taken()
    for name, vertex in placement.layered.box.items():
        width, height = placement.sizes[name]
        x, top = placement.x[vertex], placement.top[vertex]
        taken.add((x - width / 2 - 1, top - 1, x + width / 2 + 1, top + height + 1))
    for one in others:
        taken.add(one)
    lines = [points_along(path) for path in paths]
    for line in lines:
        for x, y in line:
            taken.add((x - 1.5, y - 1.5, x + 1.5, y + 1.5))
    found: list[Point | None] = []
    for line, text in zip(lines, texts, strict=True):
        place = next((p for p in _candidates(line, text, placement) if not taken.meets(_rectangle(p, text))), None)
        if place is not None:
            taken.add(_rectangle(place, text))
        found.append(place)
    return found


def _candidates(line: Sequence[Point], text: str, placement: Placement) -> Iterable[Point]:
    """Right and left of the line, from its begin on; then above and below where it runs aslant."""
    width = text_width(text, LABEL_SIZE)
    for lift in _LIFTS:
        for x, y in line[round(_FIRST / _STEP) :]:
            for left in (x + _BESIDE, x - _BESIDE - width):
                if left >= -_OUTSIDE and left + width <= placement.width + _OUTSIDE:
                    yield left, y + lift


def overhang(places: Sequence[Point | None], texts: Sequence[str], placement: Placement) -> float:
    """How far the labels reach beyond the placement, at the side where they reach furthest."""
    found = [_rectangle(place, text) for place, text in zip(places, texts, strict=True) if place is not None]
    return max([0.0, *(max(-left, right - placement.width) for left, _, right, _ in found)])


def _rectangle(place: Point, text: str) -> Rectangle:
    x, y = place
    return x - 1, y - _HEIGHT / 2, x + text_width(text, LABEL_SIZE) + 1, y + _HEIGHT / 2


def points_along(path: str) -> list[Point]:
    """Points of SVG path data (M, L, H, V, C and Q with absolute places), at most ``_STEP`` apart."""
    points: list[Point] = []
    for command, rest in _COMMAND.findall(path):
        numbers = [float(number) for number in _NUMBER.findall(rest)]
        if command == "M":
            points.append((numbers[0], numbers[1]))
            continue
        x, y = points[-1]
        if command in "HV":
            numbers = [numbers[0], y] if command == "H" else [x, numbers[0]]
        corners = [(x, y), *zip(numbers[0::2], numbers[1::2], strict=True)]
        length = sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(corners))
        count = max(ceil(length / _STEP), 1)
        points += [_bezier(corners, step / count) for step in range(1, count + 1)]
    return points


def _bezier(corners: Sequence[Point], share: float) -> Point:
    """De Casteljau: of two corners the point between, of more the curve that they pull."""
    while len(corners) > 1:
        corners = [(a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share) for a, b in pairwise(corners)]
    return corners[0]
