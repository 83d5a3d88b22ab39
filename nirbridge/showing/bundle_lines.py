"""The lines that bundled edges share: one across each dense gap, one beside the columns for all that skips ranks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nirbridge.reports import count_text, counted
from nirbridge.showing.describe import EdgeInfo
from nirbridge.showing.drawing import DASHES, EDGE, draw_text, escaped, text_width
from nirbridge.showing.placement import BUS, GAP_BELOW, Placement

_STUB = 12.0
"""How far from the corner of a box a line to the bus leaves it."""
_CLEAR = 10.0
"""Between a rank and the line along it; a delayed one runs further out."""
_APART = 5.0
_MOST_NAMES = 100
"""Targets that a tooltip names before it says how many more there are; ``show`` as text lists every edge."""


@dataclass(frozen=True)
class _Line:
    """Where one bundle runs: its style, and how far it keeps from boxes and columns."""

    delayed: bool

    @property
    def clear(self) -> float:
        return _CLEAR + _APART * self.delayed

    @property
    def side(self) -> float:
        return -1.0 if self.delayed else 1.0

    def path(self, data: str, told: str = "", arrow: bool = False) -> str:
        end = ' marker-end="url(#arrow)"' if arrow else ""
        style = DASHES if self.delayed else ""
        title = f"<title>{escaped(told)}</title>" if told else ""
        return (
            f'<path class="bundle" d="{data}" fill="none" stroke="{EDGE}" stroke-width="1.8"{style}{end}>{title}</path>'
        )


def draw_bundles(edges: Sequence[EdgeInfo], placement: Placement) -> list[str]:
    """The shared lines of all edges that have none of their own, with the number of edges at every box."""
    bus = [edges[number] for number in placement.bundles.bus]
    drawn: list[str] = []
    for numbers in placement.bundles.gaps.values():
        found = [edges[number] for number in numbers]
        if len({placement.column[placement.layered.box[name]] for name in (found[0].source, found[0].target)}) == 1:
            drawn += _gap(found, placement)
        else:  # the gap lies between two columns
            bus += found
    for delayed in (False, True):
        drawn += _bus([edge for edge in bus if edge.delayed == delayed], placement, _Line(delayed))
    return drawn


def _gap(edges: Sequence[EdgeInfo], placement: Placement) -> list[str]:
    box, line = placement.layered.box, _Line(False)
    y = placement.bottom[box[edges[0].source]] + GAP_BELOW / 2
    ends = [placement.x[box[name]] for edge in edges for name in (edge.source, edge.target)]
    drawn = [line.path(f"M{min(ends):.1f} {y:.1f}H{max(ends):.1f}")]
    for name, targets in _targets(edges).items():
        x = placement.x[box[name]]
        drawn.append(line.path(f"M{x:.1f} {_foot(name, placement):.1f}V{y:.1f}", _told(name, targets)))
    for name in dict.fromkeys(edge.target for edge in edges):
        x, top = placement.x[box[name]], placement.top[box[name]]
        drawn.append(line.path(f"M{x:.1f} {y:.1f}V{top:.1f}", arrow=True))
    words, middle = counted(len(edges), "edge"), (min(ends) + max(ends)) / 2
    width = text_width(words, 11) + 10
    drawn.append(f'<rect x="{middle - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" fill="#ffffff"/>')
    return [*drawn, draw_text(middle, y + 4, words, 11, anchor="middle", fill=EDGE)]


def _bus(edges: Sequence[EdgeInfo], placement: Placement, line: _Line) -> list[str]:
    """Down the right of every column, and from one column to the next along the top."""
    if not edges:
        return []
    drawn: list[str] = []
    reached: dict[int, list[float]] = {}
    sent = {name: _told(name, targets) for name, targets in _targets(edges).items()}
    counts = (Counter(edge.source for edge in edges), Counter(edge.target for edge in edges))
    for below, counted_names in zip((True, False), counts, strict=True):
        nearest: dict[tuple[int, float], float] = {}
        for name, count in counted_names.items():
            vertex = placement.layered.box[name]
            x = placement.x[vertex] + line.side * (placement.sizes[name][0] / 2 - _STUB)
            if below:
                foot, y = _foot(name, placement), placement.bottom[vertex] + line.clear
                drawn.append(line.path(f"M{x:.1f} {foot:.1f}V{y:.1f}", sent[name]))
            else:
                foot, y = placement.top[vertex], placement.top[vertex] - line.clear
                told = f"{counted(count, 'bundled edge')} → {name}"
                drawn.append(line.path(f"M{x:.1f} {y:.1f}V{foot:.1f}", told, arrow=True))
            at, anchor = foot + (9 if below else -2), "start" if line.delayed else "end"
            drawn.append(draw_text(x - 9 * line.side, at, count_text(count), 9, anchor=anchor, fill=EDGE))
            place = placement.column[vertex], y
            nearest[place] = min(nearest.get(place, x), x)
        for (column, y), x in nearest.items():
            drawn.append(line.path(f"M{x:.1f} {y:.1f}H{_beside(column, placement, line):.1f}"))
            reached.setdefault(column, []).append(y)
    return [*drawn, *_rails(reached, placement, line)]


def _rails(reached: dict[int, list[float]], placement: Placement, line: _Line) -> Iterable[str]:
    rail = _APART * (1 + line.delayed)
    for column, heights in reached.items():
        x = _beside(column, placement, line)
        top = min(heights) if len(reached) == 1 else rail
        yield line.path(f"M{x:.1f} {top:.1f}V{max(heights):.1f}")
    if len(reached) > 1:
        ends = [_beside(column, placement, line) for column in reached]
        yield line.path(f"M{min(ends):.1f} {rail:.1f}H{max(ends):.1f}")


def _beside(column: int, placement: Placement, line: _Line) -> float:
    return placement.rights[column] - BUS / 2 + BUS / 3 * line.delayed


def _foot(name: str, placement: Placement) -> float:
    return placement.top[placement.layered.box[name]] + placement.sizes[name][1]


def _targets(edges: Sequence[EdgeInfo]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for edge in edges:
        found.setdefault(edge.source, []).append(edge.target)
    return found


def _told(name: str, targets: Sequence[str]) -> str:
    more = f" and {count_text(len(targets) - _MOST_NAMES)} more" if len(targets) > _MOST_NAMES else ""
    return f"{counted(len(targets), 'bundled edge')}: {name} → {', '.join(targets[:_MOST_NAMES])}{more}"
