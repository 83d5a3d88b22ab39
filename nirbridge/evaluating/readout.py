"""Scores of every class → how clear a decision is, and how far the label is from it."""

from __future__ import annotations

import numpy as np

from nirbridge.runtime import Array


def margins(scores: Array) -> Array:
    """[B], how far the best score lies above the second best; with one class, the score itself."""
    if scores.shape[1] < 2:
        return scores[:, 0]
    best = np.partition(scores, -2, axis=1)
    return best[:, -1] - best[:, -2]


def ranks(scores: Array, labels: Array) -> Array:
    """[B], how many classes come before the label, 0 where it is the decision; the lower of equal ones leads."""
    own = scores[np.arange(len(scores)), labels][:, None]
    earlier = np.arange(scores.shape[1]) < labels[:, None]
    return ((scores > own) | ((scores == own) & earlier)).sum(axis=1)
