"""Contestants timed in turns, and the rows that come of it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Times = dict[str, list[float]]
AT_MOST, AT_LEAST = "at most", "at least"
OURS = "nirbridge"


@dataclass(frozen=True)
class Row:
    """One line of the page.

    Attributes:
        what: what is measured.
        values: one for each round; the page shows median and range, and judges the median.
        target: the bound, or None where the row only informs.
        bound: which side of the target is good.
        unit: "×" for ratios.
        seconds: the contestants that the values come from, one for each round.
        profile: where the time goes, measured; shown where the target is missed.
    """

    what: str
    values: list[float]
    target: float | None = None
    bound: str = AT_MOST
    unit: str = "×"
    seconds: Times = field(default_factory=dict)
    profile: str = ""


@dataclass
class Section:
    """What a section measured: rows, sentences that go with them, and curves {name: [(x, y), ...]} for its picture."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    curves: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def in_turns(
    runs: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
    before: Callable[[], object] = lambda: None,
) -> Times:
    """Seconds of every run in every round; a first round warms up.  Load on the machine meets all of them alike.

    ``before`` is called before each run, untimed.
    """
    seconds: Times = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            before()
            start = clock()
            run()
            if number:
                seconds[name].append(clock() - start)
    return seconds


def over(seconds: Times, name: str, base: str) -> list[float]:
    """The ratio of every round."""
    return [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]


def only(seconds: Times, *names: str) -> Times:
    """Some of the contestants."""
    return {name: seconds[name] for name in names}


def profiled(run: Callable[[], object], repeats: int = 3, most: int = 6) -> str:
    """Shares of own time by function; compiled passes count for the function that calls them."""
    import cProfile
    import pstats

    profile = cProfile.Profile(time.process_time)
    run()
    profile.enable()
    for _ in range(repeats):
        run()
    profile.disable()
    own = {key: entry[2] for key, entry in pstats.Stats(profile).stats.items()}  # type: ignore[attr-defined]
    total = sum(own.values())
    largest = sorted(own, key=lambda key: -own[key])[:most]
    return ", ".join(f"{_named(key)} {own[key] / total:.0%}" for key in largest)


def _named(key: tuple[str, int, str]) -> str:
    file, _, function = key
    function = function.removeprefix("<built-in method ").removeprefix("<method ").removesuffix(">").split(" of ")[0]
    # torch's operators are "torch._ops.mkldnn."
    function = function.replace("'", "").rstrip(".").rsplit(".", 1)[-1]
    return f"`{function}`" if file == "~" else f"`{file.rsplit('/', 1)[-1]}:{function}`"


def spread(values: list[float]) -> tuple[float, float, float]:
    """Median, lowest, highest."""
    return statistics.median(values), min(values), max(values)
