"""nirbridge.read and nirbridge.write: exact round trips, and refusals in one line."""

from __future__ import annotations

import itertools
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import FileError, GraphError
from nirbridge.ir import PRIMITIVES, Extension, MultiLevelLIF, PhaseIF, build_graph, graph_differences, graphs_equal
from nirbridge.ir.heaps import longest_text
from tests.ir.graphs import chain, every_node


@pytest.fixture
def graph() -> nir.NIRGraph:
    nodes = every_node()
    names = list(nodes)
    metadata = {"text": "käse", "number": 1.5, "none": None, "texts": np.array(["a", "bc"]), "deep": {"flag": True}}
    return nir.NIRGraph(nodes, list(itertools.pairwise(names)), metadata=metadata, type_check=False)


def test_every_primitive_is_in_the_round_trip(graph: nir.NIRGraph) -> None:
    assert {type(node).__name__ for node in graph.nodes.values()} == set(PRIMITIVES)


def test_round_trip_is_exact(graph: nir.NIRGraph, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "g.nir", graph)
    assert graph_differences(graph, nirbridge.read(tmp_path / "g.nir")) == []


def test_round_trip_keeps_what_numpy_sees(graph: nir.NIRGraph, tmp_path: Path) -> None:
    """Independent of graph_differences: names, dtypes and values of every field of the extension primitives."""
    nirbridge.write(tmp_path / "g.nir", graph)
    back = nirbridge.read(tmp_path / "g.nir")
    assert list(back.nodes) == list(graph.nodes)
    seen = set()
    for name, node in graph.nodes.items():
        if not isinstance(node, Extension) or name == "aggregate_sparse":
            continue
        for field in type(node).field_names():
            a, b = np.asarray(getattr(node, field)), np.asarray(getattr(back.nodes[name], field))
            assert (a.dtype.kind, a.shape) == (b.dtype.kind, b.shape), (name, field)
            assert a.dtype.kind == "U" or a.dtype == b.dtype, (name, field)
            assert (a == b).all(), (name, field)
        seen.add(type(node))
    assert seen == {kind for kind in PRIMITIVES.values() if issubclass(kind, Extension)}


def test_differences_are_seen(graph: nir.NIRGraph, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "g.nir", graph)
    back = nirbridge.read(tmp_path / "g.nir")
    back.nodes["one_hot"].lane_weight = back.nodes["one_hot"].lane_weight.astype(np.float64)
    back.nodes["linear"].weight[1, 2] = 5
    assert [line.split(":")[0] for line in sorted(graph_differences(graph, back))] == [
        "linear.weight",
        "one_hot.lane_weight",
    ]
    assert not graphs_equal(graph, back)


def test_core_graph_is_a_plain_nir_file(tmp_path: Path) -> None:
    graph = chain(nir.Linear(np.eye(3)), nir.IF(np.ones(3), np.ones(3)), shape=(3,), out=(3,))
    nirbridge.write(tmp_path / "core.nir", graph)
    loaded = nir.read(tmp_path / "core.nir")
    assert {name: type(node) for name, node in loaded.nodes.items()} == {n: type(v) for n, v in graph.nodes.items()}
    assert (loaded.nodes["n0"].weight == np.eye(3)).all()


@pytest.mark.parametrize("name", [n for n, v in every_node().items() if isinstance(v, Extension)])
def test_extended_graph_makes_nir_fail(name: str, tmp_path: Path) -> None:
    graph = nir.NIRGraph({"x": every_node()[name]}, [], type_check=False)
    nirbridge.write(tmp_path / "ext.nir", graph)
    with pytest.raises((AssertionError, ValueError)):
        nir.read(tmp_path / "ext.nir", type_check=False)


def test_files_of_nir_itself_are_read(tmp_path: Path) -> None:
    graph = nir.NIRGraph.from_list(
        nir.Linear(np.eye(3)), nir.LIF(*(np.ones(3),) * 4), nir.Affine(np.eye(3), np.ones(3))
    )
    nir.write(tmp_path / "a.nir", graph)
    back = nirbridge.read(tmp_path / "a.nir")
    assert sorted(back.edges) == sorted(graph.edges)
    assert (back.nodes["lif"].tau == 1).all()


def test_real_files_are_read(shared_data: Path) -> None:
    files = sorted(shared_data.glob("nir-paper/*/*.nir"))
    assert len(files) == 5
    for file in files:
        graph = nirbridge.read(file)
        theirs = nir.read(file, type_check=False)
        assert graph_differences(theirs, graph) == []


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "g.nir"
    path.write_bytes(b"precious")
    bad = nir.NIRGraph({"a/b": nir.Input(np.array([1]))}, [], type_check=False)
    with pytest.raises(GraphError, match="'a/b'"):
        nirbridge.write(path, bad)
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_subclass_is_not_written_as_its_parent(tmp_path: Path) -> None:
    class Special(nir.IF):
        pass

    graph = nir.NIRGraph({"x": Special(np.ones(1), np.ones(1))}, [], type_check=False)
    with pytest.raises(GraphError, match="'Special' is no NIR primitive"):
        nirbridge.write(tmp_path / "x.nir", graph)


def test_unstorable_metadata_is_named(tmp_path: Path) -> None:
    graph = nir.NIRGraph({}, [], metadata={"what": object()}, type_check=False)
    with pytest.raises(GraphError, match="what"):
        nirbridge.write(tmp_path / "x.nir", graph)


def _one_line(error: pytest.ExceptionInfo[Exception]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("content", "found"),
    [(None, "does not exist"), (b"", "is empty"), (b"PK\x03\x04zip", "no HDF5"), (b"\x89HDF\r\n\x1a\n1234", "damaged")],
)
def test_foreign_files(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "x.nir"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FileError) as error:
        nirbridge.read(path)
    assert found in _one_line(error)


def test_every_truncation_is_refused(graph: nir.NIRGraph, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "g.nir", graph)
    data = (tmp_path / "g.nir").read_bytes()
    rng = np.random.default_rng(0)
    for size in sorted(rng.integers(1, len(data) - 1, 40)):
        (tmp_path / "t.nir").write_bytes(data[:size])
        with pytest.raises((FileError, GraphError)) as error:
            nirbridge.read(tmp_path / "t.nir")
        _one_line(error)


def test_mutated_files_fail_in_our_own_way(graph: nir.NIRGraph, tmp_path: Path) -> None:
    nirbridge.write(tmp_path / "g.nir", graph)
    data = bytearray((tmp_path / "g.nir").read_bytes())
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        mutated = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            mutated[place] = rng.integers(256)
        (tmp_path / "m.nir").write_bytes(mutated)
        try:
            nirbridge.read(tmp_path / "m.nir")
        except (FileError, GraphError) as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 0


def _hdf5(path: Path, node: dict[str, object], version: str = "1.0.8") -> Path:
    def fill(group: h5py.Group, values: dict[str, object]) -> None:
        for key, value in values.items():
            if isinstance(value, dict):
                fill(group.create_group(key), value)
            else:
                group[key] = value

    with h5py.File(path, "w") as file:
        file["version"] = version
        fill(file.create_group("node"), node)
    return path


def _graph_of(**nodes: dict[str, object]) -> dict[str, object]:
    return {"type": "NIRGraph", "nodes": nodes, "edges": np.array([["a", "b"]], dtype=object)}


def test_a_phase_neuron_without_its_number_of_spikes_has_one(tmp_path: Path) -> None:
    """As files say that were written before it could have more."""
    node = PhaseIF((2,), 4, 4, 2.0, 1.5, 1.0, 0.0)
    stored = {key: value for key, value in node.to_dict().items() if key not in ("metadata", "spikes")}
    graph = nirbridge.read(_hdf5(tmp_path / "x.nir", {**_graph_of(a=stored, b=stored)}))
    assert graph.nodes["a"].spikes == 1


@pytest.mark.parametrize("spikes", [0, -1, 1.5, "two"])
def test_a_number_of_spikes_is_a_whole_number(spikes: object) -> None:
    with pytest.raises(GraphError, match="spikes"):
        PhaseIF((2,), 4, 4, 2.0, 1.5, 1.0, 0.0, spikes=spikes)  # type: ignore[arg-type]


MULTI = {k: v for k, v in MultiLevelLIF.one_hot((2,), 2).to_dict().items() if k != "metadata"}


@pytest.mark.parametrize(
    ("node", "found"),
    [
        (_graph_of(a={"type": "Warp", "speed": 9.0}), "node 'a': unknown primitive 'Warp'"),
        (_graph_of(a={**MULTI, "opset": 2}), "node 'a' (MultiLevelLIF): opset 2"),
        (_graph_of(a={**MULTI, "colour": 1.0}), "node 'a' (MultiLevelLIF): unknown field 'colour'"),
        (_graph_of(a={k: v for k, v in MULTI.items() if k != "decay"}), "fields ['decay'] are missing"),
        (_graph_of(a={**MULTI, "reset": "sometimes"}), "reset 'sometimes' is unknown"),
        (_graph_of(a={"type": "Linear", "weight": np.eye(2), "bias": np.ones(2)}), "unknown field 'bias'"),
        (_graph_of(a={"type": "Linear"}), "node 'a' (Linear): its fields do not fit"),
        (_graph_of(a={"weight": np.eye(2)}), "node 'a': has no field 'type'"),
        (_graph_of(a={"type": "Linear", "weight": np.eye(2), "metadata": 5}), "metadata are no group of entries"),
        ({**_graph_of(), "metadata": 5}, "metadata are no group of entries"),
        ({"type": "Linear", "weight": np.eye(2)}, "single Linear"),
        ({"type": "NIRGraph", "nodes": {}, "edges": np.zeros((2, 2))}, "no list of pairs"),
    ],
)
def test_unknown_content_is_named(tmp_path: Path, node: dict[str, object], found: str) -> None:
    with pytest.raises(GraphError) as error:
        nirbridge.read(_hdf5(tmp_path / "x.nir", node))
    assert found in _one_line(error)


def test_other_hdf5_files_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["image"] = np.zeros(3)
    with pytest.raises(FileError, match="no group 'node'"):
        nirbridge.read(tmp_path / "x.nir")


def test_newer_nir_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"NIR version 2\.0 is newer"):
        nirbridge.read(_hdf5(tmp_path / "x.nir", _graph_of(), version="2.0"))


def test_links_out_of_the_file_are_refused(tmp_path: Path) -> None:
    _hdf5(tmp_path / "other.nir", _graph_of())
    with h5py.File(tmp_path / "x.nir", "w") as file:
        file["node"] = h5py.ExternalLink(str(tmp_path / "other.nir"), "/node")
    with pytest.raises(FileError, match="link to another place"):
        nirbridge.read(tmp_path / "x.nir")


def test_declared_terabytes_are_refused_before_reading(tmp_path: Path) -> None:
    with h5py.File(_hdf5(tmp_path / "x.nir", _graph_of()), "a") as file:
        file.create_dataset("node/bomb", shape=(2**40,), dtype="f8", chunks=(1024,), fillvalue=1.0)
    with pytest.raises(FileError, match="declares 8388608 MiB of data in [0-9]+ bytes, up to /node/bomb"):
        nirbridge.read(tmp_path / "x.nir")


def test_an_output_without_a_shape_is_refused_or_filled(tmp_path: Path) -> None:
    """NIR files state the shape of every Output; without it the file could not be read again."""
    nodes = {"input": nir.Input(np.array([3])), "z": nir.Linear(np.ones((2, 3))), "output": nir.Output(None)}
    edges = [("input", "z"), ("z", "output")]
    with pytest.raises(GraphError, match="node 'output' .Output.: has no shape"):
        nirbridge.write(tmp_path / "x.nir", nir.NIRGraph(nodes, edges, type_check=False))
    assert not list(tmp_path.iterdir())
    nirbridge.write(tmp_path / "x.nir", build_graph(nodes, edges))
    assert nirbridge.read(tmp_path / "x.nir").nodes["output"].output_type["output"].tolist() == [2]
    assert nodes["output"].output_type["output"] is None


class _Foreign:
    """An array of another library, as a torch tensor that wants a gradient: numpy must ask it to let go first."""

    def __init__(self, values: np.ndarray, held: bool = True) -> None:
        self.values, self.held = values, held

    def detach(self) -> _Foreign:
        return _Foreign(self.values, held=False)

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        if self.held:
            raise RuntimeError("call detach first")
        return self.values


def test_parameters_may_be_arrays_of_another_library(tmp_path: Path) -> None:
    """Exporters of torch frameworks leave tensors in the graph that they give."""

    def graph(wrap: object) -> nir.NIRGraph:
        lif = nir.LIF(*(np.full(3, v) for v in (0.02, 1.0, 0.0, 0.5)))
        linear = nir.Linear(np.ones((3, 2), np.float32))
        for node, names in ((lif, ("tau", "r", "v_leak", "v_threshold")), (linear, ("weight",))):
            for name in names:
                setattr(node, name, wrap(getattr(node, name)))
        nodes = {"input": nir.Input(np.array([2])), "fc": linear, "lif": lif, "output": nir.Output(np.array([3]))}
        return nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)

    plain, foreign = graph(lambda values: values), graph(_Foreign)
    assert nirbridge.check(foreign) == nirbridge.check(plain) == []
    x = np.full((40, 1, 2), 5.0)
    with nirbridge.compile(plain) as expected, nirbridge.compile(foreign) as found:
        assert np.array_equal(found.run(x).output, expected.run(x).output)
    nirbridge.write(tmp_path / "foreign.nir", foreign)
    back = nirbridge.read(tmp_path / "foreign.nir")
    assert graphs_equal(back, plain)
    assert graphs_equal(build_graph(foreign.nodes, foreign.edges), plain)


def test_no_text_of_a_file_is_longer_than_its_heaps_say(tmp_path: Path) -> None:
    names = ["input", "n" * 700, "output"]
    nodes = dict(zip(names, (nir.Input(np.array([2])), nir.Scale(np.ones(2)), nir.Output(np.array([2]))), strict=True))
    nirbridge.write(tmp_path / "g.nir", build_graph(nodes, list(itertools.pairwise(names))))
    assert longest_text((tmp_path / "g.nir").read_bytes(), "file") == 700
    data = bytearray((tmp_path / "g.nir").read_bytes())
    heap = data.find(b"GCOL")
    data[heap + 24 : heap + 32] = (2**40).to_bytes(8, "little")
    (tmp_path / "broken.nir").write_bytes(data)
    with pytest.raises(FileError, match="its texts at byte"):
        longest_text((tmp_path / "broken.nir").read_bytes(), "file")
