"""What a user waits for before the first run."""

from __future__ import annotations

import importlib
import statistics
import time

from .data import GRAPH
from .fresh import fresh
from .measuring import Row, Section, over, profiled

NAME, TITLE = "starting", "Starting"
ABOUT = """Fresh processes, CPU time. "import" is what a process that has torch imports besides for a first program:
nirbridge, the Norse runtime, numba and the compiled passes. Its base is the 0.97 s that this took when the target was
set, on the machine of that day; `import torch` beside it says how fast this one is. The graph of 13 nodes is
`cnn_sinabs.nir`, whose file is read before; "again" is the median of five more compiles."""
MODULES = ("nirbridge", "nirbridge_norse.program", "nirbridge_norse.fused.steps", "nirbridge_norse.fused.kernels")
BASE_IMPORT, IMPORT = 0.97, 0.5
FIRST, AGAIN = 60.0, 10.0
WHY = {
    "import": "numba is the larger part of it, and is loaded because programs call its passes.",
    "first": "The first compile also loads what the graph's node types need, passes and their machine code.",
    "again": "Every compile analyses the graph anew and prepares the weights of each node.",
}


def one_start() -> dict[str, float | str]:
    """Seconds of a process: torch, the rest of the imports, first compile, again; and the profile of a compile."""
    clock = time.process_time
    start = clock()
    import torch  # noqa: F401

    loaded = clock()
    for module in MODULES:
        importlib.import_module(module)
    import nirbridge

    imported = clock()
    found: dict[str, float | str] = {"torch": loaded - start, "import": imported - loaded}
    if GRAPH.is_file():
        graph = nirbridge.read(GRAPH)
        times = []
        for _ in range(6):
            start = clock()
            nirbridge.compile(graph, "norse")
            times.append(clock() - start)
        found |= {"first": times[0], "again": statistics.median(times[1:])}
        found["profile"] = profiled(lambda: nirbridge.compile(graph, "norse"))
    return found


def measure(quick: bool = False) -> Section:
    """All rows."""
    fresh("benchmarks.speed.starting:one_start")  # compiles what no process did before, and reads the files
    starts = [fresh("benchmarks.speed.starting:one_start") for _ in range(1 if quick else 5)]
    seconds = {name: [start[name] for start in starts] for name in starts[0] if name != "profile"}
    times = {"import torch": seconds["torch"], "import the Norse runtime": seconds["import"]}
    section = Section()
    section.rows.append(
        Row(
            "import of the Norse runtime over 0.97 s",
            [s / BASE_IMPORT for s in seconds["import"]],
            IMPORT,
            seconds=times,
        )
    )
    section.rows.append(
        Row("import of the Norse runtime over import torch", over(seconds, "import", "torch"), None)
    )  # fmt: skip
    if "first" not in seconds:
        section.notes.append(f"There is no `{GRAPH.name}` here: compiles are left out.")
        return section
    for name, target in (("first", FIRST), ("again", AGAIN)):
        milliseconds = [1e3 * second for second in seconds[name]]
        row = Row(f"compile of 13 nodes, {name}", milliseconds, target, unit="ms", profile=starts[0]["profile"])
        section.rows.append(row)
    return section
