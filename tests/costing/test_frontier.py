"""Operating points and pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nirbridge
from nirbridge.costing import OperatingPoint, draw_frontier, draw_report, frontier
from nirbridge.errors import FileError, InputError
from tests.costing.test_report import X, small

PNG = b"\x89PNG\r\n\x1a\n"


def points() -> list[OperatingPoint]:
    return [
        OperatingPoint("T=1", 0.90, 1e3, 1, "M-LIF"),
        OperatingPoint("T=3", 0.94, 3e3, 3, "M-LIF"),
        OperatingPoint("T=10", 0.93, 9e3, 10, "M-LIF"),
        OperatingPoint("T=1", 0.80, 2e3, 1, "LIF"),
        OperatingPoint("T=10", 0.95, 8e3, 10, "LIF"),
    ]


def test_the_frontier_holds_what_nothing_beats() -> None:
    assert [(p.group, p.label) for p in frontier(points())] == [("M-LIF", "T=1"), ("M-LIF", "T=3"), ("LIF", "T=10")]


def test_the_frontier_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(0, 11, (60, 3))
    made = [OperatingPoint(str(i), a / 10, e, t) for i, (a, e, t) in enumerate(table)]
    scores = np.stack([-table[:, 0], table[:, 1], table[:, 2]], 1)
    beaten = [any((other <= mine).all() and (other < mine).any() for other in scores) for mine in scores]
    assert {p.label for p in frontier(made)} == {str(i) for i, lost in enumerate(beaten) if not lost}
    assert 1 < len(frontier(made)) < 60


def test_equal_points_stay_and_latency_alone_can_save_a_point() -> None:
    twins = [OperatingPoint("a", 0.9, 5, 3), OperatingPoint("b", 0.9, 5, 3)]
    fast = OperatingPoint("fast", 0.9, 6, 1)
    assert {p.label for p in frontier([*twins, fast])} == {"a", "b", "fast"}
    assert frontier([]) == ()


@pytest.mark.parametrize(
    ("numbers", "found"),
    [
        ((1.2, 1, 1), "accuracy 1.2 is not a share within 0..1"),
        ((0.5, -1, 1), "energy_pj -1 is not a number from 0 on"),
        ((0.5, 1, np.nan), "nan"),
    ],
)
def test_points_must_be_numbers(numbers: tuple[float, float, float], found: str) -> None:
    with pytest.raises(InputError, match=found):
        OperatingPoint("p", *numbers)


def test_pictures_are_written(tmp_path: Path) -> None:
    draw_frontier(points(), tmp_path / "frontier.png", latency_unit="steps")
    draw_frontier([OperatingPoint("only", 0.9, 5, 3)], tmp_path / "one.png")
    draw_report(nirbridge.energy(small(), X, model="memory"), tmp_path / "report.png")
    for name in ("frontier.png", "one.png", "report.png"):
        assert (tmp_path / name).read_bytes().startswith(PNG)
    assert len(list(tmp_path.iterdir())) == 3


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    draw_report(nirbridge.energy(small(), 0 * X, input_kind="events"), tmp_path / "report.png")
    assert (tmp_path / "report.png").stat().st_size > 5000


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is none to draw"):
        draw_frontier([], tmp_path / "a.png")
    with pytest.raises(InputError, match="no place on a logarithmic axis"):
        draw_frontier([OperatingPoint("p", 0.5, 0, 1)], tmp_path / "a.png")
    with pytest.raises(FileError, match="does not exist"):
        draw_frontier(points(), tmp_path / "gone" / "a.png")
    assert list(tmp_path.iterdir()) == []
