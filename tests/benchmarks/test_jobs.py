"""The model of many workers, where its answer is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.many_workers import Costs, forecast

FREE = Costs(start=0, share=0, hand=0, row=0, way=0, sample=0.5)


def test_without_costs_all_workers_work_all_the_time() -> None:
    said = forecast(640, 64, 1, replace(FREE, hand=1e-12))
    assert said.seconds == pytest.approx(5.0)
    assert said.efficiency == pytest.approx(1.0)


def test_a_last_piece_waits_for_nobody() -> None:
    assert forecast(9, 4, 4, replace(FREE, hand=1e-12)).seconds == pytest.approx(2.0), "pieces of 4, 4 and 1"


def test_one_process_that_hands_out_is_a_limit() -> None:
    costs = replace(FREE, hand=0.25)
    assert forecast(100, 64, 1, costs).seconds == pytest.approx(100 * 0.25 + 0.5)
    assert forecast(100, 64, 1, costs).most_workers == pytest.approx(2)
    assert forecast(100, 2, 1, costs).seconds == pytest.approx(50 * 0.75, rel=0.02)
    assert forecast(100, 64, 10, costs).seconds == pytest.approx(10 * 0.25 + 5.0)


def test_a_start_is_paid_once_and_what_is_shared_for_each_worker() -> None:
    said = forecast(4, 4, 1, replace(FREE, start=3.0, share=0.1, hand=1e-12))
    assert said.seconds == pytest.approx(3.0 + 4 * 0.1 + 0.5)
    assert said.efficiency == pytest.approx(0.5 / 3.9)
