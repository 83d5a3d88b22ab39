"""Events a second of every filter, on one core, and how that is to a copy of the same events.

Events are of real recordings, one after the other until there are enough, in chunks as readers give them; each is
checked, filtered and counted.  All contestants take turns in one process; figures are of the fastest of several turns,
in the processor's time, which other programs on the machine lengthen little.  Where tonic is installed, its ``Denoise``
and ``RefractoryPeriod`` take a part of the events: they are loops of Python, and define what they keep otherwise
(four neighbours; a dead time that events prolong which were taken out).

    python benchmarks/filters.py [--events 4000000] [--turns 5] [--data ../shared/data/events]
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nirbridge_events import (
    BackgroundFilter,
    EventFilter,
    Events,
    FilterChain,
    HotPixelFilter,
    PolarityFilter,
    RateFilter,
    RefractoryFilter,
    RoiFilter,
    open_recording,
)
from nirbridge_events.filters.loops import compile_at_once

CHUNK = 1 << 16
TARGET = 50e6
RECORDINGS = {"dvs.es": (320, 240), "evt2.raw": (640, 480), "evt3_sample.raw": (1280, 720)}
PEER_EVENTS = 50_000
LEARNING = "hot-pixels, learning"
"""All events are learned from and held back until the end, which a stream does once, for a second."""
WITHOUT_TARGET = ("tonic", LEARNING)


def many(path: Path, size: tuple[int, int], count: int) -> Events:
    """The events of a recording, again and again, on a clock that goes on."""
    once = Events.concatenate(list(open_recording(path, size)))
    span = int(once.t[-1] - once.t[0]) + 1
    times = -(-count // len(once))
    return Events.concatenate([Events(once.x, once.y, once.t + i * span, once.p) for i in range(times)])[:count]


def filters_for(size: tuple[int, int]) -> dict[str, EventFilter]:
    width, height = size
    mask = np.random.default_rng(0).random((height, width)) < 1e-3
    return {
        "hot-pixels, given": HotPixelFilter(mask),
        LEARNING: HotPixelFilter(),
        "background=5ms": BackgroundFilter(5000),
        "refractory=1ms": RefractoryFilter(1000),
        "rate=2M": RateFilter(2_000_000),
        "roi, a quarter": RoiFilter((width // 4, height // 4, width // 2, height // 2)),
        "polarity=on": PolarityFilter("on"),
    }


def run(filters: list[EventFilter], size: tuple[int, int], chunks: list[Events]) -> int:
    return sum(len(chunk) for chunk in FilterChain(filters, size).over(chunks))


def copied(chunks: list[Events]) -> int:
    return sum(len(Events(c.x.copy(), c.y.copy(), c.t.copy(), c.p.copy())) for c in chunks)


def fastest(runs: dict[str, Callable[[], int]], turns: int) -> dict[str, tuple[float, int]]:
    """Seconds of the processor, and what each gives; one turn more comes first, which compiles."""
    seconds: dict[str, float] = {}
    kept: dict[str, int] = {}
    for turn in range(turns + 1):
        for name, function in runs.items():
            start = time.thread_time()
            kept[name] = function()
            if turn:
                seconds[name] = min(seconds.get(name, float("inf")), time.thread_time() - start)
    return {name: (seconds[name], kept[name]) for name in runs}


def peers(events: Events) -> dict[str, Callable[[], int]]:
    try:
        from tonic.transforms import Denoise, RefractoryPeriod
    except ImportError:
        return {}
    array = events[:PEER_EVENTS].to_array()
    return {
        "tonic Denoise": lambda: len(Denoise(filter_time=5000)(array)),
        "tonic RefractoryPeriod": lambda: len(RefractoryPeriod(1000)(array)),
    }


def measure(path: Path, size: tuple[int, int], count: int, turns: int) -> bool:
    events = many(path, size, count)
    parts = [events[at : at + CHUNK] for at in range(0, count, CHUNK)]
    chunks = [Events(c.x.copy(), c.y.copy(), c.t.copy(), c.p.copy()) for c in parts]
    runs: dict[str, Callable[[], int]] = {
        "a copy": lambda: copied(chunks),
        "checks alone": lambda: run([], size, chunks),
    }
    for name, one in filters_for(size).items():
        runs[name] = lambda one=one: run([one], size, chunks)
    found = fastest(runs, turns) | fastest(peers(events), 1)
    copy = found["a copy"][0]
    print(f"\n{path.name}, {size[0]}x{size[1]}, {count / 1e6:g} million events")
    print(f"  {'':24}{'Mev/s':>8}{'times a copy':>14}{'kept':>8}")
    reached = True
    for name, (seconds, kept) in found.items():
        taken = PEER_EVENTS if name.startswith("tonic") else count
        missed = not name.startswith(WITHOUT_TARGET) and taken / seconds < TARGET
        reached &= not missed
        slower = f"{seconds / taken / (copy / count):.1f}"
        print(f"  {name:24}{taken / seconds / 1e6:8.1f}{slower:>14}{kept / taken:8.1%}{'  MISSED' if missed else ''}")
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data" / "events")
    given = parser.parse_args()
    compile_at_once()
    print(f"numpy {np.__version__}, one thread; target {TARGET / 1e6:g} Mev/s each")
    reached = [measure(given.data / name, size, given.events, given.turns) for name, size in RECORDINGS.items()]
    print(f"\ntarget: {'reached' if all(reached) else 'MISSED'}")


if __name__ == "__main__":
    main()
