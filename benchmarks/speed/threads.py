"""Two threads against one."""

from __future__ import annotations

import os
import time

from .data import GRAPH
from .fresh import THREADS, fresh
from .measuring import AT_LEAST, Row, Section, in_turns

NAME, TITLE = "threads", "Two threads over one"
ABOUT = """The same runs at batch 16 in fresh processes with one thread and with two (`OMP_NUM_THREADS`,
`NUMBA_NUM_THREADS`), in turns; the time on the wall, of the median run of each process. It needs a machine with nothing
else to do: threads spin while they wait for one whose core another program has."""
BATCH, FASTER = 16, 1.6
NETWORKS = {"VGGSNN, T = 4": 4, f"{GRAPH.name}, T = 50": 50}
WHY = {"threads": "Samples are divided among threads; Python between the nodes is one thread's at a time."}


def one_process(name: str, rounds: int, size: int, width: int) -> dict[str, float | str]:
    """The median seconds of a run, and its CPU seconds."""
    import statistics

    import numpy as np

    import nirbridge

    from . import vgg

    steps = NETWORKS[name]
    if "VGGSNN" in name:
        graph, x = vgg.make_graph(size, width), vgg.frames(steps, size, BATCH)
    else:
        graph = nirbridge.read(GRAPH)
        x = (np.random.default_rng(0).random((steps, BATCH, 2, 34, 34)) < 0.006).astype(np.float32)
    program = nirbridge.compile(graph, "norse")
    used = time.process_time()
    wall = in_turns({name: lambda: program.run(x)}, rounds, time.perf_counter)[name]
    return {"wall": statistics.median(wall), "cpu": (time.process_time() - used) / (rounds + 1)}


def measure(quick: bool = False) -> Section:
    """All rows."""
    section = Section()
    if os.cpu_count() == 1:
        section.notes.append("Not measured: this machine has one core.")
        return section
    load = os.getloadavg()[0]
    section.notes.append(f"When this began, {load:.1f} threads of all programs wanted the {os.cpu_count()} cores.")
    sizes = {"rounds": 1, "size": 16, "width": 4} if quick else {"rounds": 3, "size": 48, "width": 64}
    for name in NETWORKS:
        if GRAPH.name in name and not GRAPH.is_file():
            continue
        found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
        for _ in range(1 if quick else 3):
            for threads, results in found.items():
                environment = dict.fromkeys(THREADS, str(threads))
                results.append(fresh("benchmarks.speed.threads:one_process", environment, name=name, **sizes))
        wall = {f"{threads} threads, wall": [r["wall"] for r in results] for threads, results in found.items()}
        cpu = {f"{threads} threads, CPU": [r["cpu"] for r in results] for threads, results in found.items()}
        values = [one["wall"] / two["wall"] for one, two in zip(found[1], found[2], strict=True)]
        section.rows.append(Row(f"{name}, B = {BATCH}, 2 threads over 1", values, FASTER, AT_LEAST, seconds=wall | cpu))
    return section
