"""Labels of points in a picture, each beside its point where nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Place = tuple[float, float]

_SAME = 14
"""Points of one label within so many pixels share it."""
_MARKER = 7
"""Half the side of a marker, in pixels."""
_NEAR, _FAR = 7, 22
"""Points of the distance between a marker and its label; far ones get a line."""
_SIDES = ((-1, 1), (1, -1), (1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
"""Right and up; accuracy mostly rises with energy, so the sides off a rising line come first."""
_ALIGNED = {
    1: ("left", "bottom"),
    0: ("center", "center"),
    -1: ("right", "top"),
}


def place_labels(axis: Any, labels: Sequence[tuple[str, Place]]) -> None:
    """Writes each text beside its place; near first, then farther off, and at the upper left if nothing is free."""
    from matplotlib.transforms import Bbox

    axis.figure.draw_without_rendering()  # the layout, and with it every pixel, is settled by drawing
    pixels = [tuple(axis.transData.transform(place)) for _, place in labels]
    taken = [Bbox.from_extents(x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER) for x, y in pixels]
    done: list[tuple[str, Place]] = []
    for (text, place), at in zip(labels, pixels, strict=True):
        if any(text == other and max(abs(at[0] - x), abs(at[1] - y)) < _SAME for other, (x, y) in done):
            continue
        done.append((text, (at[0], at[1])))
        taken.append(_written(axis, text, place, taken).get_window_extent())


def _written(axis: Any, text: str, place: Place, taken: Sequence[Any]) -> Any:
    for distance in (_NEAR, _FAR):
        for side in _SIDES:
            label = _annotated(axis, text, place, side, distance)
            box = label.get_window_extent()
            inside = axis.bbox.contains(box.x0, box.y0) and axis.bbox.contains(box.x1, box.y1)
            if inside and not any(box.overlaps(other) for other in taken):
                return label
            label.remove()
    return _annotated(axis, text, place, _SIDES[0], _NEAR)


def _annotated(axis: Any, text: str, place: Place, side: tuple[int, int], distance: int) -> Any:
    offset = (side[0] * distance, side[1] * distance * 0.7)
    line = {"arrowstyle": "-", "color": "#999999", "lw": 0.6, "shrinkB": 4} if distance == _FAR else None
    from matplotlib.patheffects import withStroke

    return axis.annotate(
        text,
        place,
        offset,
        textcoords="offset points",
        fontsize=8,
        ha=_ALIGNED[side[0]][0],
        va=_ALIGNED[side[1]][1],
        arrowprops=line,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
