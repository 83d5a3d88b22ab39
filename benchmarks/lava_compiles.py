"""Many programs in one interpreter: what it and its processes hold must stay as much as it was.

Compiles, runs and closes the network of ``lava_soak.py`` again and again, in both mappings and precisions in turns.
Exit code 1 if anything grew between a tenth of the way and its end.

    python benchmarks/lava_compiles.py [--compiles 200]
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
from lava_soak import ALLOWED_MIB, BATCH, NEURONS, make_graph, usage

import nirbridge

SHARED_MEMORY = Path("/dev/shm")


def main() -> int:
    """Prints the course and the verdict."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--compiles", type=int, default=200)
    count = parser.parse_args().compiles
    graph, x = make_graph(), np.ones((3, BATCH, NEURONS))
    files = len(list(SHARED_MEMORY.iterdir()))
    course = []
    begin = time.perf_counter()
    ways = product(("processes", "fused"), ("float", "fixed"))
    for number, (mapping, precision) in enumerate(islice(cycle(ways), count), start=1):
        with nirbridge.compile(graph, "lava", mapping=mapping, precision=precision, timeout=60) as program:
            program.run(x)
        gc.collect()
        course.append(usage())
        if number % max(1, count // 20) == 0:
            print(f"{number:5d} compiles, {time.perf_counter() - begin:6.1f} s, {course[-1]}", flush=True)
    late = course[len(course) // 10 :]
    grown = late[-1].mib - late[0].mib
    left = len(list(SHARED_MEMORY.iterdir())) - files
    flat = grown <= ALLOWED_MIB and late[0][1:] == late[-1][1:] and left <= 0
    print(f"{count} compiles; memory {grown:+.2f} MiB, processes {late[0].processes} → {late[-1].processes}, ", end="")
    print(f"files {late[0].files} → {late[-1].files}, shared memory {left:+d}: {'flat' if flat else 'GREW'}")
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
