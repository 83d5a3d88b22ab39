"""Processes of one thread on N-MNIST recordings: speed-up of two over one, and 60,000 samples on 64 workers on paper.

    python benchmarks/jobs.py [--samples 240] [--rounds 3]

A sample is a recording file of N-MNIST, encoded into frames of 1 ms and run through the NIR paper's network by the
Norse runtime. One process and two do the same samples in turns; both are warm, because a start is measured by itself.
The speed-up is the best of the rounds, since other programs that run take a core from two processes and not from one.
Beside it stands what CPU time says, 2 × that of one process over that of two: their clock is not in it, what they take
from each other in caches and memory is. Answers must be equal. The costs are measured in the same run:

    start    CPU time of a new process up to its first answer, less a sample: Python, imports, unpacking, compiling
    share    clock time by which a piece takes longer whose work brings the graph along
    hand     CPU time of this process for a piece that does nothing
    row      CPU time of this process for one more sample's result in a piece
    way      clock time of a piece that does nothing, less hand: pipes or sockets, waking up, pickling there
    sample   CPU time of a sample on one process

OMP_NUM_THREADS=2 before the command shows one process of two threads in the place of one of one.
What they give on 64 workers is calculated by ``many_workers.py``, whose docstring is the model. Exit code 1 where the
speed-up is below its target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is loaded; workers have one whatever it is
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import nir
import numpy as np

import nirbridge
from benchmarks.many_workers import Costs, forecast
from benchmarks.speed.data import GRAPH, RECORDING
from nirbridge.reports import table
from nirbridge.workers import Crew, crew
from nirbridge.workers.processes import Processes
from nirbridge_events import encode, open_recording

TARGET = 1.8
SAMPLES, WORKERS = 60_000, 64
BATCHES = (1, 8, 32, 128)
PIECE = 4
"""Samples of a piece where speed is measured."""
NOTHING = 400
"""Pieces that do nothing."""
STEPS, SENSOR, WINDOW = 300, (34, 34), 1000


class Classifier:
    """A graph, compiled where it is used: programs stay where they are made."""

    def __init__(self, graph: nir.NIRGraph) -> None:
        self.graph = graph
        self._program: Any = None

    def scores(self, path: Path) -> np.ndarray:
        """[classes] spikes of the outputs."""
        if self._program is None:
            self._program = nirbridge.compile(self.graph, "norse")
        frames = encode(open_recording(path, SENSOR), window=WINDOW, coding="count")[:STEPS, None]
        return self._program.run(frames).output.sum(axis=(0, 1))


Answer = tuple[list[np.ndarray], float]
"""Scores, and the CPU time that they took."""


def classify(classifier: Classifier, paths: list[Path]) -> Answer:
    busy = time.process_time()
    return [classifier.scores(path) for path in paths], time.process_time() - busy


def answers(workers: Crew, classifier: Classifier, paths: list[Path]) -> Iterator[Answer]:
    """What is measured."""
    pieces = (paths[at : at + PIECE] for at in range(0, len(paths), PIECE))
    return workers.map(classify, pieces, classifier)


def nothing(_shared: object, rows: int) -> list[np.ndarray]:
    """The answer of so many samples, without the work."""
    return [np.zeros(10, dtype=np.float32)] * rows


def busy_so_far(classifier: Classifier, path: Path) -> float:
    """CPU time of a process since it began, with the first sample."""
    classifier.scores(path)
    return time.process_time()


@dataclass(frozen=True)
class Warm:
    """All samples once by workers that have compiled: clock time, CPU time of the workers, answers."""

    clock: float
    busy: float
    scores: list[np.ndarray]


def warm(workers: Crew, classifier: Classifier, paths: list[Path]) -> Warm:
    """Times are those of all but the first pieces, scaled to all."""
    results = answers(workers, classifier, paths)
    first = list(islice(results, 2 * workers.size))
    begin = time.perf_counter()
    rest = list(results)
    clock = time.perf_counter() - begin
    whole = (len(first) + len(rest)) / len(rest)
    busy = sum(each for _, each in rest)
    return Warm(clock * whole, busy * whole, [row for rows, _ in first + rest for row in rows])


def in_turns(paths: list[Path], rounds: int) -> list[tuple[Warm, Warm]]:
    """One process and two, once in each round."""
    graph = nirbridge.read(GRAPH)
    with crew(1) as one, crew(2) as two:
        found = [(warm(one, Classifier(graph), paths), warm(two, Classifier(graph), paths)) for _ in range(rounds)]
    for alone, both in found:
        assert all(map(np.array_equal, alone.scores, both.scores)), "answers differ"
    return found


def costs(workers: Crew, path: Path, sample: float) -> Costs:
    """Of a crew of one worker, whose process has not done anything yet."""
    classifier = Classifier(nirbridge.read(GRAPH))
    start = next(workers.map(busy_so_far, [path], classifier)) - sample
    without, shared = (least_seconds(workers, what) for what in (None, classifier))
    hand, clock = piece_seconds(workers, 1)
    more, _ = piece_seconds(workers, 101)
    return Costs(start, max(0.0, shared - without), hand, max(0.0, more - hand) / 100, max(0.0, clock - hand), sample)


def least_seconds(workers: Crew, shared: Classifier | None) -> float:
    """Of a map of one piece that does nothing."""
    return min(seconds(lambda: list(workers.map(nothing, [1], shared))) for _ in range(5))


def seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def piece_seconds(workers: Crew, rows: int) -> tuple[float, float]:
    """CPU time of this process, and clock time, of a piece that does nothing."""
    clock, busy = time.perf_counter(), time.process_time()
    list(workers.map(nothing, [rows] * NOTHING))
    return (time.process_time() - busy) / NOTHING, (time.perf_counter() - clock) / NOTHING


def costs_table(found: dict[str, Costs]) -> str:
    names = ("start", "share", "hand", "row", "way", "sample")
    rows = [(kind, *(f"{getattr(each, name) * 1e3:.3g}" for name in names)) for kind, each in found.items()]
    return table(("crew", *(f"{name} ms" for name in names)), rows, right=[f"{name} ms" for name in names])


def forecast_table(found: dict[str, Costs]) -> str:
    headers = ("crew", "samples a piece", "seconds", "efficiency", "limit")
    rows = []
    for kind, each in found.items():
        for batch in BATCHES:
            said = forecast(SAMPLES, WORKERS, batch, each)
            limit = f"{said.most_workers:,.0f} workers"
            rows.append((kind, batch, f"{said.seconds:.1f}", f"{said.efficiency:.1%}", limit))
    return table(headers, rows, right=headers[1:])


def times(rounds: list[tuple[Warm, Warm]]) -> Iterator[tuple[str, ...]]:
    """Rows of the table of rounds."""
    for number, (alone, both) in enumerate(rounds):
        cells = (alone.clock, both.clock, alone.busy, both.busy)
        yield str(number + 1), *(f"{cell:.2f}" for cell in cells)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not GRAPH.is_file() or not RECORDING.is_file():
        print(f"needs {GRAPH} and {RECORDING.parent}", file=sys.stderr)
        return 2
    paths = sorted(RECORDING.parent.glob("*.bin"))[: options.samples]
    rounds = in_turns(paths, options.rounds)
    ratio = max(alone.clock / both.clock for alone, both in rounds)
    quiet = statistics.median(2 * alone.busy / both.busy for alone, both in rounds)
    sample = min(alone.busy for alone, _ in rounds) / len(paths)
    print(table(("round", "one process s", "two s", "CPU of one s", "CPU of two s"), times(rounds)))
    print(f"speed-up {ratio:.2f}, target {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}")
    print(f"by CPU time, as on a machine with nothing else to do: {quiet:.2f}")
    found = {}
    for kind, workers in {"processes": Processes(1), "Dask": crew(1, "local")}.items():
        with workers:
            found[kind] = costs(workers, paths[0], sample)
    print(f"\n{costs_table(found)}\n\n{SAMPLES:,} samples on {WORKERS} workers, on paper")
    print(forecast_table(found))
    return int(ratio < TARGET)


if __name__ == "__main__":
    sys.exit(main())
