"""Scores of every class → how clear a decision is, and how far the label is from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nirbridge.runtime import Array

_ROWS = 4096
"""Samples that are looked at together, so that many classes need no second array of their size."""


def margins(scores: Array) -> Array:
    """[B], how far the best score lies above the second best; with one class, the score itself."""
    if scores.shape[1] < 2:
        return scores[:, 0]
    found = np.empty(len(scores))
    for rows in _blocks(len(scores)):
        best = np.partition(scores[rows], -2, axis=1)
        found[rows] = best[:, -1] - best[:, -2]
    return found


def ranks(scores: Array, labels: Array) -> Array:
    """[B], how many classes come before the label, 0 where it is the decision; the lower of equal ones leads."""
    found = np.empty(len(scores), dtype=np.int64)
    for rows in _blocks(len(scores)):
        some, label = scores[rows], labels[rows, None]
        own = np.take_along_axis(some, label, axis=1)
        earlier = np.arange(scores.shape[1]) < label
        found[rows] = ((some > own) | ((some == own) & earlier)).sum(axis=1)
    return found


def _blocks(count: int) -> Iterator[slice]:
    return (slice(first, first + _ROWS) for first in range(0, count, _ROWS))
