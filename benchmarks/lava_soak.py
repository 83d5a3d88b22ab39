"""A long stream on Lava: memory, processes, threads and files must stay as many as they were.

Streams steps one by one through a small network with state and notes what the program and its processes hold, every
2 % of the way.  Exit code 1 if anything grew between a tenth of the way and its end.

    python benchmarks/lava_soak.py [--steps 100000] [--mapping fused|processes] [--precision float|fixed]
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import nir
import numpy as np
import psutil

import nirbridge
from nirbridge.ir import MultiLevelLIF, build_graph

NEURONS, BATCH, NOTES = 64, 1, 50
ALLOWED_MIB = 4.0
"""What memory may vary by: the allocator's slack, not one byte a step (100,000 steps of 64 values are 49 MiB)."""


class Usage(NamedTuple):
    """What the program and its children hold."""

    mib: float
    processes: int
    threads: int
    files: int


def usage() -> Usage:
    """Now; memory is what each process has written, without files that it shares with processes of others."""
    own = psutil.Process()
    family = [own, *own.children(recursive=True)]
    held = sum(anonymous_kib(process.pid) for process in family) / 2**10
    return Usage(held, len(family), threading.active_count(), own.num_fds())


def anonymous_kib(pid: int) -> int:
    """The kernel's count of memory that stands for no file."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))


def make_graph() -> nir.NIRGraph:
    """Two layers of one-hot neurons, the second recurrent; weights are integers, so both precisions take it."""
    rng = np.random.default_rng(0)
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([NEURONS]))}
    for layer in range(2):
        nodes[f"fc{layer}"] = nir.Affine(rng.integers(-9, 12, (NEURONS, NEURONS)), rng.integers(-9, 9, NEURONS))
        nodes[f"act{layer}"] = MultiLevelLIF.one_hot((NEURONS,), 3, 16, 0.5)
    nodes["output"] = nir.Output(None)
    nodes["back"] = nir.Linear(rng.integers(-5, 6, (NEURONS, NEURONS)))
    chain = [name for name in nodes if name != "back"]
    return build_graph(nodes, [*pairwise(chain), ("act1", "back"), ("back", "act1")])


def main() -> int:
    """Prints the course and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--mapping", default="fused", choices=("fused", "processes"))
    parser.add_argument("--precision", default="float", choices=("float", "fixed"))
    args = parser.parse_args()
    before = len(psutil.Process().children(recursive=True))
    rng = np.random.default_rng(1)
    graph, course, total = make_graph(), [], 0.0
    with nirbridge.compile(graph, "lava", mapping=args.mapping, precision=args.precision, timeout=60) as program:
        begin = time.perf_counter()
        for step in range(1, args.steps + 1):
            total += float(program.step(rng.choice([0.0, 0.0, 1.0, 4.0], (BATCH, NEURONS))).sum())
            if step % max(1, args.steps // NOTES) == 0:
                course.append(usage())
                print(f"{step:8d} steps, {time.perf_counter() - begin:7.1f} s, {course[-1]}", flush=True)
    left = len(psutil.Process().children(recursive=True)) - before
    late = course[len(course) // 10 :]
    grown = late[-1].mib - late[0].mib
    flat = grown <= ALLOWED_MIB and len({found[1:] for found in late}) == 1 and left <= 1  # Python's resource tracker
    print(f"{args.steps} steps, mean output {total / args.steps / NEURONS:.3f}; memory {grown:+.2f} MiB, ", end="")
    print(f"processes {late[0].processes} → {late[-1].processes}, {left} left behind: {'flat' if flat else 'GREW'}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
