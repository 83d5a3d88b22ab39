"""Reads, checks, shows and writes mutated files: each gives a graph or an error of nirbridge's own, in 1 s and 1 GB.

``python benchmarks/fuzz_read.py --count 10000`` prints the outcome; it exits with 1 if a file breaks a limit.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import nir
import numpy as np

import nirbridge
from nirbridge.errors import NirbridgeError
from nirbridge.ir import EventInput, MultiLevelLIF, PhaseIF, build_graph
from nirbridge.showing import describe

SECONDS, BYTES = 1.0, 2**30
CHUNK = 250
"""Files that one process reads: a crash of the HDF5 library itself would end a process, and be seen."""


def seed_graph() -> nir.NIRGraph:
    """A little of everything that a file can hold."""
    inner = {"input": nir.Input(np.array([4])), "fc": nir.Linear(np.ones((4, 4))), "output": nir.Output(np.array([4]))}
    nodes = {
        "input": EventInput((2, 4, 4), (8, 8), 1000),
        "conv": nir.Conv2d((4, 4), np.ones((2, 2, 3, 3), np.float32), 1, "same", 1, 1, np.zeros(2)),
        "act": MultiLevelLIF.one_hot((2, 4, 4), 3),
        "flat": nir.Flatten({"input": np.array([2, 4, 4])}, 0, -1),
        "fc": nir.Affine(np.ones((4, 32), np.float32), np.zeros(4)),
        "lif": nir.CubaLIF(*(np.full(4, v) for v in (0.01, 0.02, 1.0, 0.0, 0.5, 0.0, 1.0))),
        "phase": PhaseIF((4,), 4, 4, 2.0, 2.0, np.ones(4), np.zeros(4)),
        "block": build_graph(inner, list(itertools.pairwise(inner))),
        "output": nir.Output(np.array([4])),
    }
    return build_graph(nodes, list(itertools.pairwise(nodes)))


def flip(data: bytearray, rng: np.random.Generator) -> None:
    """Some bits."""
    for place in rng.integers(0, len(data), rng.integers(1, 20)):
        data[place] ^= 1 << int(rng.integers(8))


def overwrite(data: bytearray, rng: np.random.Generator) -> None:
    """A run of bytes with noise, zeros or ones."""
    start, size = int(rng.integers(len(data))), int(rng.integers(1, 64))
    fill = (rng.bytes(size), b"\x00" * size, b"\xff" * size)[rng.integers(3)]
    data[start : start + size] = fill[: len(data) - start]


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    """The end is missing."""
    del data[int(rng.integers(len(data))) :]


def splice(data: bytearray, rng: np.random.Generator) -> None:
    """A block from elsewhere."""
    size = int(rng.integers(8, 512))
    here, there = (int(v) for v in rng.integers(0, max(1, len(data) - size), 2))
    data[here : here + size] = data[there : there + size]


def swell(data: bytearray, rng: np.random.Generator) -> None:
    """Some eight bytes become a large number: a size, an offset, a count."""
    place = int(rng.integers(max(1, len(data) - 8)))
    data[place : place + 8] = int(2 ** rng.integers(20, 63)).to_bytes(8, "little")


BYTE_MUTATIONS: tuple[Callable[[bytearray, np.random.Generator], None], ...] = (
    flip,
    overwrite,
    truncate,
    splice,
    swell,
)


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


def wrong_value(file: h5py.File, rng: np.random.Generator) -> None:
    """A field of another type, shape or value."""
    name = _datasets(file)[rng.integers(len(_datasets(file)))]
    del file[name]
    values = (
        np.array("text", dtype=object), np.full((3, 0), 1.0), np.array(np.nan), np.array(-1), np.array(2**62),
        np.ones((7, 7, 7)), np.array(1 + 2j), np.array([b"a", b"b"]), np.array(1e308),
        np.array([[["x", "y"]]], object), np.array(True), np.array([np.inf, -np.inf]), np.array("subtract", object),
        np.array("MultiLevelLIF", object),
    )  # fmt: skip
    value = values[rng.integers(len(values))]
    file.create_dataset(name, data=value, dtype=h5py.string_dtype() if value.dtype == object else None)


def missing_field(file: h5py.File, rng: np.random.Generator) -> None:
    """A field less, or one of an unknown name more."""
    name = _datasets(file)[rng.integers(len(_datasets(file)))]
    if rng.random() < 0.5:
        file[name.rpartition("/")[0] or "/"].create_dataset("surprise", data=1)
    else:
        del file[name]


def other_type(file: h5py.File, rng: np.random.Generator) -> None:
    """A node says that it is of another type."""
    kinds = [name for name in _datasets(file) if name.endswith("/type")]
    name = kinds[rng.integers(len(kinds))]
    del file[name]
    file[name] = [*nirbridge.ir.PRIMITIVES, "", "os.system", "\n"][rng.integers(len(nirbridge.ir.PRIMITIVES) + 3)][:99]


def declared_bomb(file: h5py.File, rng: np.random.Generator) -> None:
    """A size beyond all memory, of which nothing is stored."""
    shape = tuple(int(2 ** rng.integers(8, 16)) for _ in range(3))
    file.create_dataset(f"node/nodes/fc/bomb{rng.integers(9)}", shape, chunks=(64, 64, 64), dtype="f8")


def packed_bomb(file: h5py.File, rng: np.random.Generator) -> None:
    """Zeros that are small when packed: up to 2 GB in a few MB, here as the chunks that were never written."""
    del file["node/nodes/fc/weight"]
    size = int(2 ** rng.integers(20, 28))
    data = file.create_dataset("node/nodes/fc/weight", (4, size), chunks=(4, 2**16), dtype="f4", compression="gzip")
    data[:, : 2**18] = 0


def text_bomb(file: h5py.File, rng: np.random.Generator) -> None:
    """Long texts in the place of names."""
    del file["node/edges"]
    size, length = int(rng.integers(2, 2000)), int(2 ** rng.integers(4, 16))
    file.create_dataset(
        "node/edges", data=np.array([["x" * length, "y"]] * size, dtype=object), dtype=h5py.string_dtype()
    )


def links(file: h5py.File, rng: np.random.Generator) -> None:
    """Cycles of groups, soft and outward links, one object under many names."""
    kind = rng.integers(4)
    if kind == 0:
        file["node/nodes/fc/self"] = file["node"]
        file["node/nodes/fc/self2"] = file["node"]
    elif kind == 1:
        file["node/nodes/fc/soft"] = h5py.SoftLink("/node")
    elif kind == 2:
        file["node/nodes/fc/out"] = h5py.ExternalLink("/etc/passwd", "/")
    else:
        for index in range(int(rng.integers(2, 200))):
            file[f"node/nodes/fc/copy{index}"] = file["node/nodes/fc/weight"]


def nesting(file: h5py.File, rng: np.random.Generator) -> None:
    """Groups within groups, or very many of them."""
    if rng.random() < 0.5:
        file.create_group("node/nodes/" + "/".join(["deep"] * int(rng.integers(2, 200))))
    else:
        for index in range(int(rng.integers(10, 400))):
            file.create_group(f"node/nodes/wide{index}")


def swollen_field(file: h5py.File, rng: np.random.Generator) -> None:
    """A field of few values holds millions of ones, small when packed."""
    name = _datasets(file)[rng.integers(len(_datasets(file)))]
    del file[name]
    shape = (int(rng.integers(1, 512)), 4095)
    file.create_dataset(name, data=np.ones(shape, np.int64), chunks=(1, 4095), compression="gzip")


def extreme_number(file: h5py.File, rng: np.random.Generator) -> None:
    """Numbers at the ends of their types, and of types that few know."""
    numeric = [name for name in _datasets(file) if file[name].dtype.kind in "fiu"]
    name = numeric[rng.integers(len(numeric))]
    shape = file[name].shape
    del file[name]
    values = (
        np.longdouble("0.1"), np.longdouble("1e400"), np.float32(3.4e38), -1.7e308, 5e-324, np.float16(65504),
        np.uint64(2**64 - 1), np.int64(-(2**63)), np.int8(-128), np.complex64(1j), np.array(0.5, ">f8"),
    )  # fmt: skip
    file[name] = np.full(shape, values[rng.integers(len(values))])


def no_neurons(file: h5py.File, rng: np.random.Generator) -> None:
    """A field, or what a shape states, holds nothing."""
    name = _datasets(file)[rng.integers(len(_datasets(file)))]
    shape = file[name].shape
    del file[name]
    file[name] = np.zeros(shape, np.int64) if rng.random() < 0.5 else np.zeros((0, *shape[1:]))


def padded_texts(file: h5py.File, rng: np.random.Generator) -> None:
    """Texts, of which one is so long that as many of its length would fill the memory."""
    name = _datasets(file)[rng.integers(len(_datasets(file)))]
    del file[name]
    texts = ["x" * int(2 ** rng.integers(10, 22)), *["y"] * int(rng.integers(1, 20_000))]
    file.create_dataset(name, data=np.array(texts, dtype=object), dtype=h5py.string_dtype())


HDF5_MUTATIONS: tuple[Callable[[h5py.File, np.random.Generator], None], ...] = (
    wrong_value, wrong_value, wrong_value, missing_field, other_type, declared_bomb, packed_bomb, text_bomb, links,
    nesting, swollen_field, extreme_number, extreme_number, no_neurons, padded_texts,
)  # fmt: skip


def mutate(seed: int, original: bytes, path: Path) -> str:
    """Writes the mutated file of a seed; returns the name of the mutation."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        data = bytearray(original)
        names = []
        for _ in range(int(rng.integers(1, 4))):
            change = BYTE_MUTATIONS[rng.integers(len(BYTE_MUTATIONS))]
            if len(data) > 16:
                change(data, rng)
                names.append(change.__name__)
        path.write_bytes(data)
        return names[0]
    path.write_bytes(original)
    change_file = HDF5_MUTATIONS[rng.integers(len(HDF5_MUTATIONS))]
    with h5py.File(path, "r+") as file:
        change_file(file, rng)
    return change_file.__name__


def read_all(first: int, count: int) -> list[tuple[int, str, str, float]]:
    """(seed, mutation, outcome, seconds) of each file; the outcome is "graph", "refused", or what went wrong."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.nir"
        nirbridge.write(path, seed_graph())
        original = path.read_bytes()
        before = _address_space()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process even inside of the HDF5 library
        for seed in range(first, first + count):
            name = mutate(seed, original, path)
            resource.setrlimit(resource.RLIMIT_AS, (before + BYTES, resource.RLIM_INFINITY))
            signal.alarm(20)
            outcome, seconds = _timed(path)
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            results.append((seed, name, f"{seconds:.1f} s" if seconds > SECONDS else outcome, seconds))
    return results


def _timed(path: Path) -> tuple[str, float]:
    start = time.process_time()  # which a busy machine does not lengthen
    outcome = _outcome(path)
    return outcome, time.process_time() - start


def _outcome(path: Path) -> str:
    try:
        graph = nirbridge.read(path)
        nirbridge.check(graph)
        description = describe(graph)
        json.dumps(description.to_dict(), allow_nan=False)
        if description.parameters < 10**6:  # packing more takes its time
            nirbridge.write(io.BytesIO(), graph)
        return "graph"
    except NirbridgeError as error:
        line = str(error.problems[0])
        return "several lines" if "\n" in line else "a long line" if len(line) > 2000 else "refused"
    except BaseException as error:  # whatever else comes is what this program looks for
        return f"{type(error).__name__}: {error}"


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * os.sysconf("SC_PAGE_SIZE")


def run(count: int, first: int = 0) -> tuple[Counter[str], list[str], float]:
    """Outcomes by number, every file that breaks a limit, and the longest time; in processes of their own."""
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    slowest = 0.0
    for start in range(first, first + count, CHUNK):
        size = min(CHUNK, first + count - start)
        command = [sys.executable, __file__, "--worker", str(start), str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            broken.append(
                f"seeds {start}..{start + size}: the process ended with {done.returncode}: {done.stderr[-300:]}"
            )
            continue
        for seed, name, outcome, seconds in json.loads(done.stdout):
            outcomes[outcome if outcome in ("graph", "refused") else "broken"] += 1
            slowest = max(slowest, seconds)
            if outcome not in ("graph", "refused"):
                broken.append(f"seed {seed} ({name}): {outcome}")
    return outcomes, broken, slowest


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--worker", type=int, nargs=2, metavar=("FIRST", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(read_all(*options.worker)))
        return
    outcomes, broken, slowest = run(options.count, options.first)
    print(f"{sum(outcomes.values())} files: {dict(outcomes)}, the slowest took {slowest * 1e3:.0f} ms")
    print("\n".join(broken[:50]))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
