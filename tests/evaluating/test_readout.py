"""Scores, decisions and what is counted of them, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from nirbridge.costing.readout import final_scores, running_scores
from nirbridge.evaluating.statistics import confusion, margins, ranks, settled_from, wilson_interval

RNG = np.random.default_rng(0)
OUTPUT = RNG.integers(-4, 5, (6, 3, 5)) * 0.25


def test_scores_are_the_mean_of_the_outputs_so_far() -> None:
    running = running_scores(OUTPUT, None)
    for step in range(6):
        assert np.allclose(running[step], OUTPUT[: step + 1].mean(axis=0))
    assert np.array_equal(final_scores(OUTPUT, None), OUTPUT.mean(axis=0))


def test_a_phase_code_is_read_at_the_end_of_its_windows() -> None:
    assert np.array_equal(running_scores(OUTPUT, 1), OUTPUT)
    assert np.array_equal(final_scores(OUTPUT, 1), OUTPUT[-1])
    running = running_scores(OUTPUT, 2)
    assert np.array_equal(running[:3], OUTPUT[:3])
    for step in (3, 4, 5):
        assert np.array_equal(running[step], (OUTPUT[2] + OUTPUT[step]) / 2)
    assert np.array_equal(final_scores(OUTPUT, 2), (OUTPUT[2] + OUTPUT[5]) / 2)


def test_margins_and_ranks_agree_with_sorting() -> None:
    scores = OUTPUT.reshape(-1, 5)
    labels = RNG.integers(0, 5, len(scores))
    for row, label, margin, rank in zip(scores, labels, margins(scores), ranks(scores, labels), strict=True):
        order = sorted(range(5), key=lambda n: (-row[n], n))
        assert margin == row[order[0]] - row[order[1]]
        assert rank == order.index(label)
    assert np.array_equal(ranks(scores, labels) == 0, scores.argmax(axis=1) == labels)
    assert margins(np.array([[3.0], [-1.0]])).tolist() == [3.0, -1.0]


@pytest.mark.parametrize(
    ("right", "samples", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)],
)
def test_intervals_are_those_of_the_tables(right: int, samples: int, low: float, high: float) -> None:
    """The last two are of Newcombe, Statistics in Medicine 1998, table I, method 3."""
    assert wilson_interval(right, samples) == pytest.approx((low, high), abs=6e-5)


def test_the_rest() -> None:
    assert confusion(np.array([0, 1, 1, 2]), np.array([0, 2, 1, 2]), 3).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert settled_from(np.array([0.1, 0.9, 0.8, 0.895, 0.9])) == 4
    assert settled_from(np.array([0.9, 0.9])) == 1
    assert settled_from(np.array([0.33, 0.29, 0.30])) == 2  # within 0.01, which the difference of floats is not
    assert settled_from(np.array([0.9])) == 1
