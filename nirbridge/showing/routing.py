"""The lines of the edges, as SVG path data."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from nirbridge.showing.placement import GAP_BELOW, TRACK, Placement

Point = tuple[float, float]
_TURN = 30.0
"""How far a line that turns back swings out; less than the gap between ranks."""
_CORNER = 6.0
_PORT = 14.0


class Router:
    """Draws every edge of one placement; lines that meet the same box arrive side by side."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._boxes = {vertex: name for name, vertex in placement.layered.box.items()}
        self._tracks = {link: (cut, i) for cut, links in enumerate(placement.cuts) for i, link in enumerate(links)}
        self._ports = self._make_ports()

    def path(self, route: list[int]) -> str:
        """The line along ``route``, which starts and ends at a box."""
        climbing = self._climbs(route)
        source, target = route[0], route[-1]
        placement = self._placement
        parts = [f"M{_pair(self._leave(route))}"]
        if climbing:
            lanes = route[1:-1]
            parts.append(
                _swing(self._port(source, lanes[0], "bottom"), placement.x[lanes[0]], placement.bottom[source], 1)
            )
            for lower, upper in zip(lanes, [*lanes[1:], None], strict=True):
                parts.append(f"L{_pair((placement.x[lower], placement.top[lower]))}")
                if upper is not None:
                    parts.append(self._between(upper, lower, reverse=True))
            last = lanes[-1]
            parts.append(_swing(placement.x[last], self._port(target, last, "top"), placement.top[last], -1))
            return "".join(parts)
        for upper, lower in pairwise(route):
            parts.append(f"L{_pair((self._port(upper, lower, 'bottom'), placement.bottom[upper]))}")
            parts.append(self._between(upper, lower, reverse=False))
        return "".join(parts)

    def label_place(self, route: list[int]) -> Point | None:
        """Where "1 step" stands: in the lane beside the source of an edge that closes a cycle."""
        if not self._climbs(route):
            return None
        lane = route[1]
        return self._placement.x[lane], (self._placement.top[lane] + self._placement.bottom[lane]) / 2

    def _climbs(self, route: list[int]) -> bool:
        return route[1] in self._placement.layered.anchor

    def _leave(self, route: list[int]) -> Point:
        source = route[0]
        height = self._placement.sizes[self._boxes[source]][1]
        return self._port(source, route[1], "bottom"), self._placement.top[source] + height

    def _port(self, vertex: int, other: int, side: str) -> float:
        return self._ports.get((vertex, other, side), self._placement.x[vertex])

    def _make_ports(self) -> dict[tuple[int, int, str], float]:
        """Where lines meet the boxes: spread over the middle, in the order of where they lead."""
        meeting: dict[tuple[int, str], dict[int, None]] = {}
        for route in self._placement.layered.routes:
            meeting.setdefault((route[0], "bottom"), {})[route[1]] = None
            meeting.setdefault((route[-1], "top"), {})[route[-2]] = None
        ports = {}
        x = self._placement.x
        for (vertex, side), others in meeting.items():
            width = self._placement.sizes[self._boxes[vertex]][0] - 24
            step = min(_PORT, width / max(len(others) - 1, 1))
            for i, other in enumerate(sorted(others, key=lambda v: x[v])):
                ports[vertex, other, side] = x[vertex] + (i - (len(others) - 1) / 2) * step
        return ports

    def _between(self, upper: int, lower: int, reverse: bool) -> str:
        """From one rank to the next, or back; the pen is already at the near end."""
        placement = self._placement
        start = (self._port(upper, lower, "bottom"), placement.bottom[upper])
        end = (self._port(lower, upper, "top"), placement.top[lower])
        if placement.column[upper] != placement.column[lower]:
            points = self._around(start, end, upper, lower)
            return _rounded(reversed(points) if reverse else points)
        if reverse:
            start, end = end, start
        if abs(start[0] - end[0]) < 0.5:
            return f"L{_pair(end)}"
        middle = (start[1] + end[1]) / 2
        return f"C{_pair((start[0], middle))} {_pair((end[0], middle))} {_pair(end)}"

    def _around(self, start: Point, end: Point, upper: int, lower: int) -> list[Point]:
        """Below its column, up between the columns, over the next one; tracks nest, so that they do not cross."""
        cut, index = self._tracks[upper, lower]
        inner = len(self._placement.cuts[cut]) - 1 - index
        below = start[1] + GAP_BELOW / 2 + TRACK * inner
        gutter = self._placement.rights[cut] + GAP_BELOW / 2 + TRACK * inner
        above = end[1] - GAP_BELOW / 2 - TRACK * index
        return [start, (start[0], below), (gutter, below), (gutter, above), (end[0], above), end]


def _pair(point: Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _swing(start: float, end: float, y: float, direction: int) -> str:
    """A turn by 180 degrees from x = start to x = end at height y, below it (1) or above it (-1)."""
    out = y + direction * _TURN
    return f"L{_pair((start, y))}C{_pair((start, out))} {_pair((end, out))} {_pair((end, y))}"


def _rounded(points: Iterable[Point]) -> str:
    """A line through ``points`` with rounded corners; the pen is at the first."""
    found = list(points)
    parts = []
    for before, corner, after in zip(found, found[1:], found[2:], strict=False):
        parts.append(f"L{_pair(_toward(corner, before))}Q{_pair(corner)} {_pair(_toward(corner, after))}")
    parts.append(f"L{_pair(found[-1])}")
    return "".join(parts)


def _toward(corner: Point, other: Point) -> Point:
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    share = min(_CORNER, length / 2) / length if length else 0.0
    return corner[0] + dx * share, corner[1] + dy * share
