"""What a service pays for a program: memory, start-up, copies, states; the table of docs/service.md.

Each row is of a fresh process with one thread, which reads the demo's network from a file, compiles it, makes a first
call of 10 steps of one sample, and then others; "batch MB" is what 64 samples at once take besides, at their peak.
Memory is what the process holds, with what its children hold for themselves.  Start-up is in seconds of the
processor, the least of some processes; calls are the quickest of some.  All are of this machine: compare rows.

    python benchmarks/service.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "reference": ("reference", {}),
    "norse": ("norse", {}),
    "norse, 8 bits": ("norse", {}),
    "norse, empty cache": ("norse", {}),
    "lava, fused": ("lava", {"mapping": "fused"}),
    "lava, a process a node": ("lava", {"mapping": "processes"}),
}
STEPS, BATCH, COPIES, CALLS = 10, 64, 3, 7
MIB = 2**20


def held() -> int:
    """Bytes that this process holds, and those that its children do not share with it."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    family = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    own = family - {os.getpid()}
    return _pages(os.getpid(), ("Rss",)) + sum(_pages(child, ("Private_Clean", "Private_Dirty")) for child in own)


def _pages(process: int, kinds: tuple[str, ...]) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(tuple(f"{kind}:" for kind in kinds)))


def peak() -> int:
    """The most that this process held since :func:`forget_peak`."""
    text = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1])


def forget_peak() -> int:
    """What this process holds; peaks count from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def started(work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the processor, the result)."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def quickest(work: Callable[[], Any]) -> float:
    """Milliseconds of the quickest of some calls."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def one_process(kind: str, path: str) -> dict[str, float]:
    """Seconds and bytes of one row."""
    runtime, options = KINDS[kind]

    def imported() -> Any:
        import nirbridge
        import nirbridge.runtime

        return nirbridge.read(path)

    found: dict[str, float] = {}
    found["import s"], graph = started(imported)
    import numpy as np

    import nirbridge

    found["compile s"], program = started(lambda: nirbridge.compile(graph, runtime, **options))
    x = np.random.default_rng(0).integers(0, 2, (STEPS, BATCH, *program.plan[program.plan.inputs[0]].output_shape))
    one, many = x[:, :1].astype(np.float32), x.astype(np.float32)
    found["compiled MB"] = held()
    found["first call s"], _ = started(lambda: program.run(one))
    found["called MB"] = held()
    found["call ms"] = quickest(lambda: program.run(one))
    copies = [program.copy() for _ in range(COPIES)]
    for copy in copies:
        copy.run(one)
    found["copy MB"] = (held() - found["called MB"]) / COPIES
    for copy in copies:
        copy.close()
    before = forget_peak()
    program.run(many)
    found["batch MB"] = peak() - before
    state = program.state()
    found["state kB"] = sum(array.nbytes for array in state.values()) * MIB / 1024
    found["state ms"] = quickest(program.state)
    # Some runtimes hand a state over with the next step.
    found["restore, step ms"] = quickest(lambda: (program.restore(state), program.advance(many[:1])))
    found["step ms"] = quickest(lambda: program.advance(many[:1]))
    program.close()
    return {name: value / MIB if name.endswith("B") else value for name, value in found.items()}


def in_a_process(kind: str, path: Path) -> dict[str, float]:
    """A row of a fresh process."""
    command = [sys.executable, __file__, "--one", kind, "--graph", str(path)]
    told = {**os.environ, **dict.fromkeys(THREADS, "1")}
    with tempfile.TemporaryDirectory() as empty:
        if "empty cache" in kind:
            told |= {"NUMBA_CACHE_DIR": empty, "XDG_CACHE_HOME": empty}
        done = subprocess.run(command, env=told, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def write_graphs(folder: Path) -> dict[str, Path]:
    """The demo's network as it is and in 8 bits."""
    import nirbridge
    from nirbridge.demo.network import WEIGHTS, DemoNetwork
    from nirbridge.exporting.checkpoints import load_weights
    from nirbridge.neurons import OverTime

    module = DemoNetwork()
    load_weights(module, WEIGHTS)
    graph = nirbridge.export(OverTime(module), (2, 16, 16))
    nirbridge.write(folder / "demo.nir", graph)
    nirbridge.write(folder / "demo8.nir", nirbridge.quantize(graph))
    return {kind: folder / ("demo8.nir" if "8 bits" in kind else "demo.nir") for kind in KINDS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--graph", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one_process(given.one, given.graph)))
        return
    import nirbridge

    states = nirbridge.runtimes()
    with tempfile.TemporaryDirectory() as folder:
        paths = write_graphs(Path(folder))
        usable = [kind for kind, (runtime, _) in KINDS.items() if states[runtime].usable]
        found = {kind: [in_a_process(kind, paths[kind]) for _ in range(given.repeats)] for kind in usable}
    rows = {kind: {name: min(row[name] for row in all_of) for name in all_of[0]} for kind, all_of in found.items()}
    names = list(next(iter(rows.values())))
    print(f"| {' | '.join(['runtime', *names])} |")
    print(f"| --- |{' ---: |' * len(names)}")
    for kind, row in rows.items():
        print(f"| {' | '.join([kind, *(f'{row[name]:.3g}' for name in names)])} |")


if __name__ == "__main__":
    main()
