"""What counts of right decisions say."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from nirbridge.runtime import Array

_Z = 1.959963984540054
"""The 97.5 % point of the normal distribution, so that 95 % lie within."""


def wilson_interval(right: int, samples: int) -> tuple[float, float]:
    r"""The 95 % interval of an accuracy of ``right`` in ``samples``, as shares.

    .. math::
        \frac{p + z^2 / 2n \pm z \sqrt{p (1 - p) / n + z^2 / 4 n^2}}{1 + z^2 / n}

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.
    """
    share, square = right / samples, _Z * _Z / samples
    middle = (share + square / 2) / (1 + square)
    half = _Z / (1 + square) * math.sqrt(share * (1 - share) / samples + square / (4 * samples))
    return max(0.0, middle - half), min(1.0, middle + half)


def confusion(labels: Array, predictions: Array, classes: int) -> Array:
    """[classes, classes], how many samples of each label (row) were taken for each class (column)."""
    counts = np.bincount(labels * classes + predictions, minlength=classes * classes)
    return counts.reshape(classes, classes)


def settled_from(by_step: Array) -> int:
    """The first step, counted from 1, from which on the accuracy stays within 0.01 of the last one's."""
    off = np.flatnonzero(np.abs(by_step - by_step[-1]) > 0.01 + 1e-9)  # shares as 0.29 and 0.3 are rounded
    return int(off[-1]) + 2 if off.size else 1


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
