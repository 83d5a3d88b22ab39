"""What is run: how often, on which data, and how small in a quick trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
QUICK_SAMPLES, QUICK_CALIBRATION, QUICK_WIDTH = 48, 8, 2


@dataclass(frozen=True)
class Plan:
    """What all experiments are told.

    Attributes:
        seeds: how many times each setting is run.
        nmnist: the folder with N-MNIST.
        mnist: the folder with ``mnist.npz``.
        held: training samples of each data set that are held back and stand in for the test, as (name, count); none by
            default.
        candidates: recipes that are tried instead of the chosen ones, as (group, place among its candidates).
        quick: ends of every sweep alone, one epoch, few samples: tries the machinery, the numbers mean nothing.
    """

    seeds: int = 3
    nmnist: str = "../shared/data/nmnist-small"
    mnist: str = "../shared/data/mnist"
    quick: bool = False
    held: tuple[tuple[str, int], ...] = ()
    candidates: tuple[tuple[str, int], ...] = ()

    def ends(self, values: Sequence[T]) -> tuple[T, ...]:
        """A sweep's values; in a quick trial the first and the last."""
        return tuple(dict.fromkeys((values[0], values[-1]))) if self.quick else tuple(values)

    def epochs(self, count: int) -> int:
        """``count``; in a quick trial 1."""
        return 1 if self.quick else count

    def calibration(self, count: int) -> int:
        """So many samples; in a quick trial few."""
        return QUICK_CALIBRATION if self.quick else count

    def network(self, section: dict[str, Any]) -> dict[str, Any]:
        """A deep network of a configuration; in a quick trial a narrow one."""
        return section | ({"width": QUICK_WIDTH} if self.quick else {})

    def data(self, section: dict[str, Any]) -> dict[str, Any]:
        """A configuration's section ``data``; in a quick trial of few samples."""
        held = dict(self.held).get(section["name"], 0)
        few = {"count": QUICK_SAMPLES} if self.quick else {}
        return section | few | ({"validation": min(held, QUICK_SAMPLES // 4) if self.quick else held} if held else {})

    def folder(self, data: str) -> Path | None:
        """Where a data set is; None where it needs no folder."""
        found = {"nmnist": self.nmnist, "mnist": self.mnist}.get(data)
        return None if found is None else Path(found)
