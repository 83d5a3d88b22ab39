"""How much memory an evaluation takes: batches, what runtimes hold, the scores of all samples."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nirbridge
from tests.costing.nets import entry, line
from tests.evaluating.networks import IMAGES, LABELS, small


def test_of_many_classes_the_scores_are_what_is_kept(tmp_path: Path) -> None:
    """8,000 bytes a sample of 1,000 classes, and as much again on the way, but no objects of Python for each."""
    graph = line(nir.Linear(np.ones((1000, 6))), entry=entry(6), leaves=(1000,))

    def peak(samples: int) -> int:
        tracemalloc.start()
        nirbridge.evaluate(graph, np.ones((samples, 6)), np.zeros(samples, dtype=int), steps=1, batch=100,
                           activity=False, output=tmp_path / "p.csv")  # fmt: skip
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(200), peak(1400)
    assert many - few < 1200 * 20_000


def test_what_scores_take_is_told() -> None:
    from nirbridge.evaluating.batching import batch_line

    assert batch_line(8, 2**20, 1, 10**5).endswith("about 8 MB of data and records, however many samples there are.")
    assert batch_line(8, 2**20, 2, 6 * 10**7).endswith("however many samples there are; their scores take 458 MB.")


def test_batches_that_leave_processes_idle_are_said() -> None:
    from nirbridge.evaluating.batching import idle_lines

    assert idle_lines(256, 300, 6) == ["2 batches for 6 processes: with --batch 50 more of them work at once."]
    assert idle_lines(256, 100, 2) == ["1 batch for 2 processes: with --batch 50 more of them work at once."]
    assert idle_lines(1, 3, 8) == idle_lines(50, 300, 6) == idle_lines(256, 9000, 8) == idle_lines(8, 1, 1) == []


def test_batches_fit_the_memory() -> None:
    from nirbridge.evaluating.batching import batch_size
    from nirbridge.evaluating.judges import GraphJudge
    from nirbridge.ir import flatten

    judge = GraphJudge("reference", flatten(small()), "reference", {}, {})
    few, many, huge = (batch_size(judge, steps) for steps in (1, 10**4, 10**7))
    assert few[0] > many[0] > huge[0] == 1
    assert many[1] >= 10**4 * (6 + 6 + 8 + 4) * 8
    assert many[0] * many[1] <= 2**28
    judge.close()


def test_what_a_runtime_holds_counts_and_so_does_every_judge() -> None:
    """Without records the reference still holds what every node sends: no larger batch than with them."""
    pytest.importorskip("norse")

    def batch(runtime: str, **options: Any) -> int:
        told: list[str] = []
        shown = {"steps": 20_000, "samples": 1, "tell": told.append, **options}
        nirbridge.evaluate(small(), IMAGES, LABELS, runtime, **shown)
        return int(next(text for text in told if text.startswith("Batches of")).split()[2])

    lean, whole = batch("norse", activity=False), batch("reference", activity=False)
    assert whole <= batch("reference") < lean
    assert batch("norse", activity=False, others=["reference"]) == whole
