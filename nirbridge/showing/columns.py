"""Folds a tall drawing into columns, so that a picture of hundreds of ranks still has the form of a page."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

_FEWEST_RANKS = 20
"""A drawing of fewer ranks stays one column."""
_ASPECT = 1.5
_SHIFT = 4
"""Ranks that a cut may move to pass fewer edges."""


def choose_columns(heights: Sequence[float], width: float, passing: Sequence[int]) -> list[int]:
    """The column of every rank.

    Args:
        heights: of every rank with the gap below it.
        width: of the whole drawing in one column.
        passing: how many links lead from each rank to the next.
    """
    ranks = len(heights)
    wanted = round(sqrt(_ASPECT * sum(heights) / max(width, 1.0)))
    if ranks < _FEWEST_RANKS or wanted < 2:
        return [0] * ranks
    size = max(ceil(ranks / wanted), _FEWEST_RANKS // 2)
    columns: list[int] = []
    while ranks - len(columns) > size + _SHIFT:
        start = len(columns)
        ends = range(start + size - _SHIFT, start + size + _SHIFT + 1)
        end = min(ends, key=lambda e: (passing[e - 1], abs(e - start - size)))
        columns += [columns[-1] + 1 if columns else 0] * (end - start)
    return columns + [columns[-1] + 1 if columns else 0] * (ranks - len(columns))
