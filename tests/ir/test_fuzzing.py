"""Files of strangers: a graph, or an error of our own, within a second and a gigabyte each."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "fuzz_read.py"
_TIMED = """
import json, resource, sys
import nirbridge.ir
from nirbridge.errors import NirbridgeError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    nirbridge.read(sys.argv[1]); text = "graph"
except NirbridgeError as error:
    text = str(error)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([text, (after - before) / 1024]))
"""


@pytest.fixture(scope="module")
def fuzz() -> ModuleType:
    if not SCRIPT.is_file():
        pytest.skip("benchmarks are not here")
    spec = importlib.util.spec_from_file_location("fuzz_read", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_mutated_files(fuzz: ModuleType) -> None:
    """Two hundred; the program itself reads 10,000."""
    outcomes, broken, slowest = fuzz.run(200)
    assert broken == []
    assert sum(outcomes.values()) == 200
    assert outcomes["refused"] > 66
    assert outcomes["graph"] > 13
    assert slowest < fuzz.SECONDS


def test_every_mutation_is_made(fuzz: ModuleType, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "o.nir", fuzz.seed_graph())
    original = (tmp_path / "o.nir").read_bytes()
    made = {fuzz.mutate(seed, original, tmp_path / "m.nir") for seed in range(200)}
    assert made == {change.__name__ for change in (*fuzz.BYTE_MUTATIONS, *fuzz.HDF5_MUTATIONS)}


def _read(path: Path) -> tuple[str, float]:
    """What reading says, and the MiB that it took, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    text, mebibytes = json.loads(done.stdout)
    return text, mebibytes


def _graph_file(fuzz: ModuleType, path: Path) -> Path:
    nirbridge.write(path, fuzz.seed_graph())
    return path


def test_zeros_packed_a_thousandfold(fuzz: ModuleType, tmp_path: Path) -> None:
    path = _graph_file(fuzz, tmp_path / "bomb.nir")
    with h5py.File(path, "r+") as file:
        del file["node/nodes/fc/weight"]
        shape = (4, 2**26)
        data = file.create_dataset("node/nodes/fc/weight", shape, chunks=(4, 2**20), dtype="f4", compression="gzip")
        data[:, : 2**22] = 0
    assert path.stat().st_size < 2**20
    text, mebibytes = _read(path)
    assert "declares 1024 MiB of data" in text
    assert mebibytes < 300


def test_one_long_text_that_all_entries_share(fuzz: ModuleType, tmp_path: Path) -> None:
    """Entries of a text dataset are references; here 4000 of them, changed in the file, name one text of 1 MiB."""
    path = _graph_file(fuzz, tmp_path / "bomb.nir")
    count = 4000
    with h5py.File(path, "r+") as file:
        del file["node/edges"]
        texts = np.array([["x" * 2**20, "y"], *[["y", "y"]] * (count // 2 - 1)], dtype=object)
        offset = file.create_dataset("node/edges", data=texts, dtype=h5py.string_dtype()).id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset : offset + 16 * count] = data[offset : offset + 16] * count
    path.write_bytes(data)
    text, mebibytes = _read(path)
    assert "MiB of data in" in text
    assert "/node/edges" in text
    assert mebibytes < 600


def test_a_group_that_holds_itself(fuzz: ModuleType, tmp_path: Path) -> None:
    path = _graph_file(fuzz, tmp_path / "cycle.nir")
    with h5py.File(path, "r+") as file:
        for name in ("a", "b", "c"):
            file[f"node/nodes/{name}"] = file["node"]
    with pytest.raises(FileError, match="is stored under several names"):
        nirbridge.read(path)


def test_large_honest_files_are_read(tmp_path: Path) -> None:
    """Weights of 100 MiB in as many bytes are no bomb."""
    import nir

    weight = np.random.default_rng(0).random((2560, 5120)).astype(np.float64)
    nodes = {"input": nir.Input(np.array([5120])), "fc": nir.Linear(weight), "output": nir.Output(np.array([2560]))}
    graph = nir.NIRGraph(nodes, [("input", "fc"), ("fc", "output")])
    nirbridge.write(tmp_path / "large.nir", graph)
    assert np.array_equal(nirbridge.read(tmp_path / "large.nir").nodes["fc"].weight, weight)


@pytest.mark.parametrize("size", [0, 8, 2**40])
def test_texts_whose_heap_is_damaged(fuzz: ModuleType, tmp_path: Path, size: int) -> None:
    """The library itself would read such a heap for ever: an object's size leads nowhere, or out of the heap."""
    path = _graph_file(fuzz, tmp_path / "heap.nir")
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\x01\x00\x00\x00")
    place, end = heap + 16, heap + int.from_bytes(data[heap + 8 : heap + 16], "little")
    while int.from_bytes(data[place : place + 2], "little"):  # to the free space at the end
        place += 16 + (int.from_bytes(data[place + 8 : place + 16], "little") + 7) // 8 * 8
        assert place < end
    data[place + 8 : place + 16] = size.to_bytes(8, "little")
    path.write_bytes(data)
    with pytest.raises(FileError, match="is damaged .its texts at byte"):
        nirbridge.read(path)


def test_texts_whose_heap_claims_more_than_it_holds(fuzz: ModuleType, tmp_path: Path) -> None:
    """The zeros behind its free space are an object without a size, from which the library would not go on."""
    path = _graph_file(fuzz, tmp_path / "heap.nir")
    data = bytearray(path.read_bytes())
    data[data.index(b"GCOL\x01\x00\x00\x00") + 9] += 0x10
    path.write_bytes(data + bytes(2**13))
    with pytest.raises(FileError, match="is damaged .its texts at byte"):
        nirbridge.read(path)


def test_a_text_that_states_more_bytes_than_its_heap_has(fuzz: ModuleType, tmp_path: Path) -> None:
    """The library would take four gigabytes and fill them before it looks for the text."""
    path = _graph_file(fuzz, tmp_path / "text.nir")
    data = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        place = file["node/edges"].id.get_offset()
    data[place + 3] = 255
    path.write_bytes(data)
    text, mebibytes = _read(path)
    assert "is damaged (a text of /node/edges)" in text
    assert mebibytes < 400


@pytest.mark.parametrize("kind", [0, 2])
def test_texts_whose_type_is_damaged(fuzz: ModuleType, tmp_path: Path, kind: int) -> None:
    """As lists of bytes (0), or of a kind that there is not, they would crash the library and with it the process."""
    path = _graph_file(fuzz, tmp_path / "kind.nir")
    data = path.read_bytes()
    text = bytes((0x19, 1, 1, 0, 16, 0, 0, 0))  # lists, of version 1; of the kind text, in UTF-8; 16 bytes each
    places = [place for place in range(len(data)) if data.startswith(text, place)]
    assert len(places) > 5, "one for each text"
    for place in places:
        damaged = bytearray(data)
        damaged[place + 1] = kind
        path.write_bytes(damaged)
        with pytest.raises(FileError, match="holds lists of different lengths"):
            nirbridge.read(path)


def test_a_stride_of_millions_is_refused_before_it_is_loaded(fuzz: ModuleType, tmp_path: Path) -> None:
    """16 million ones in 11 KB: the error quotes none of them."""
    path = _graph_file(fuzz, tmp_path / "stride.nir")
    with h5py.File(path, "r+") as file:
        del file["node/nodes/conv/stride"]
        file.create_dataset("node/nodes/conv/stride", data=np.ones((4096, 4095), np.int64), compression="gzip")
    text, mebibytes = _read(path)
    assert "/node/nodes/conv/stride holds 16773120 values, expected up to 64" in text
    assert mebibytes < 100


def test_texts_that_would_be_padded_to_the_longest(fuzz: ModuleType, tmp_path: Path) -> None:
    """One text of 1 MiB beside 20,000 of one letter: an array of text would take 80 GB."""
    path = _graph_file(fuzz, tmp_path / "texts.nir")
    with h5py.File(path, "r+") as file:
        texts = np.array(["x" * 2**20, *["y"] * 20_000], dtype=object)
        file.create_dataset("node/nodes/fc/metadata/notes", data=texts, dtype=h5py.string_dtype())
    text, mebibytes = _read(path)
    assert "texts of shape (20001,) take more than" in text
    assert mebibytes < 300


def test_errors_cut_what_they_quote(fuzz: ModuleType, tmp_path: Path) -> None:
    """Names and values of any length, in every part of a message."""
    long = "x" * 10**6
    graph = fuzz.seed_graph()
    graph.edges.append((long, "output"))
    graph.nodes["fc"].weight = np.ones((3, 10**6), np.int8)
    problems = nirbridge.check(graph)
    assert len(problems) >= 2
    assert all(len(str(problem)) < 2500 for problem in problems)
    with pytest.raises(nirbridge.errors.GraphError) as error:
        nirbridge.ir.MultiLevelLIF.one_hot((3,), 2, reset=long)
    assert len(str(error.value)) < 300
