"""Whatever `write` takes, `read` gives back: any field of any node, any metadata, any name; else one line says no."""

from __future__ import annotations

import io
import itertools
import json
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nirbridge
from nirbridge.errors import GraphError
from nirbridge.ir import SparseMatrix, graph_differences
from nirbridge.ir.normal_form import normal_form
from nirbridge.showing import describe
from tests.ir.graphs import every_node

_SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (4,), (0,), (2, 0), (2, 3), (4, 1, 1), (2, 1, 3, 3))
_TYPES = ("f2", "f4", "f8", "g", "c8", "c16", "G", "?", "i1", "u8", "i8", ">f8", ">i4", "O", "U3", "S3", "M8[s]", "V4")
_TEXTS = ("", "same", "subtract", ">", "käse", "a\0b", "\ud800", "\n", "x" * 70_000)
_SCALARS: tuple[Any, ...] = (
    None, True, 0, -1, 7, 2**63, 2**70, 0.5, np.nan, np.inf, 1j, b"same", object(), [], [1, 2], ["a", "b"], [1, "a"],
    [[1], [2, 3]], (1, 2), {}, {"a": 1}, {1: 2}, {"a/b": 1}, {".": 1}, {"x": None}, {3, 4}, np.longdouble(0.1),
    np.float16(0.1), np.ma.masked_array([1, 2], [True, False]), SparseMatrix((2, 2), [0], [1], np.array([1.0])),
)  # fmt: skip


@st.composite
def _arrays(draw: st.DrawFn) -> Any:
    shape = draw(st.sampled_from(_SHAPES))
    values = np.arange(int(np.prod(shape))).reshape(shape)
    with np.errstate(all="ignore"):
        array = values.astype(draw(st.sampled_from(_TYPES)))
    how = draw(st.sampled_from(("plain", "fortran", "reversed", "broadcast")))
    if how == "fortran":
        return np.asfortranarray(array)
    if how == "reversed":
        return array[::-1] if array.ndim else array
    return np.broadcast_to(array, (2, *array.shape)) if how == "broadcast" else array


_VALUES = st.one_of(_arrays(), st.sampled_from(_SCALARS), st.sampled_from(_TEXTS))


def _same(left: Any, right: Any) -> bool:
    """Of its own, beside graph_differences: values, dtypes and shapes of what was put in and what came out."""
    if left is None or right is None:
        return left is right
    if isinstance(left, SparseMatrix):
        left = vars(left)
    if isinstance(right, SparseMatrix):
        right = vars(right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    a, b = np.asarray(left), np.asarray(right)
    if a.dtype.kind in "OU" and all(isinstance(item, str) for item in np.asarray(left, dtype=object).flat):
        return b.dtype.kind in "U" and a.shape == b.shape and a.tolist() == b.tolist()
    native = a.dtype.newbyteorder("=")
    return (native, a.shape) == (b.dtype.newbyteorder("="), b.shape) and np.array_equal(
        a, b, equal_nan=a.dtype.kind in "fc"
    )


def _written(graph: nir.NIRGraph) -> nir.NIRGraph | None:
    """The graph that comes back, None where writing was refused in one line."""
    file = io.BytesIO()
    try:
        nirbridge.write(file, graph)
    except GraphError as error:
        assert len(str(error).splitlines()) == 1
        assert len(str(error)) < 1000
        assert file.getvalue() == b""
        return None
    return nirbridge.read(file)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(every_node())), st.integers(0, 9), _VALUES)
def test_any_field(name: str, place: int, value: Any) -> None:
    node = every_node()[name]
    names = [field for field in vars(node) if field not in ("input_type", "output_type", "nodes", "edges")]
    field = names[place % len(names)]
    setattr(node, field, value)
    back = _written(nir.NIRGraph({"x": node}, [], type_check=False))
    if back is None:
        return
    found = getattr(back.nodes["x"], field)
    if value is None:  # 0 for a bias and v_reset, 1 for w_in, nothing for metadata and input_shape
        assert found in ({}, None) if field in ("metadata", "input_shape") else (found == (field == "w_in")).all()
    else:
        assert _same(value, found), (field, value, found)
        assert graph_differences(nir.NIRGraph({"x": normal_form(node)}, [], type_check=False), back) == []


_NESTED = st.recursive(_VALUES, lambda v: st.dictionaries(st.text(max_size=3), v, max_size=3), max_leaves=8)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.dictionaries(st.text(max_size=5), _NESTED, max_size=4))
def test_any_metadata(metadata: dict[str, Any]) -> None:
    node = nir.Scale(np.ones(2))
    node.metadata = metadata
    back = _written(nir.NIRGraph({"x": node}, [], metadata=metadata, type_check=False))
    if back is not None:
        assert _same(metadata, back.metadata)
        assert _same(metadata, back.nodes["x"].metadata)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.one_of(st.text(max_size=8), st.sampled_from([*_TEXTS, ".", "..", "a.b", "a/b", "a:v"])), unique=True)
)
def test_any_names(names: list[str]) -> None:
    nodes = {name: nir.Scale(np.ones(2)) for name in names}
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(names)), type_check=False)
    back = _written(graph)
    if back is not None:
        assert list(back.nodes) == names
        assert back.edges == graph.edges


@pytest.mark.parametrize(
    "node",
    [
        nir.Conv1d(9, np.ones((2, 1, 3), np.float32), 1, 0, 1, 1, None),
        nir.Conv2d((5, 5), np.ones((2, 1, 3, 3), np.float32), 1, 1, 1, 1, None),
    ],
)
def test_no_bias_is_a_bias_of_zeros(node: nir.NIRNode) -> None:
    back = _written(nir.NIRGraph({"x": node}, [], type_check=False))
    assert back is not None
    assert back.nodes["x"].bias.tolist() == [0.0, 0.0]
    assert back.nodes["x"].bias.dtype == np.float32
    shape = {nir.Conv1d: (1, 9), nir.Conv2d: (1, 5, 5)}[type(node)]
    nodes = {"input": nir.Input(np.array(shape)), "x": node, "output": nir.Output(None)}
    graph = nirbridge.ir.build_graph(nodes, [("input", "x"), ("x", "output")])
    with nirbridge.compile(graph) as program:
        largest = program.run(np.ones((1, 1, *shape))).output.max()
    assert largest == np.prod(node.weight.shape[1:])


def test_fields_that_no_reader_takes_are_named() -> None:
    lif = nir.LIF(*(np.ones(2) for _ in range(5)))
    lif.tau = lif.tau.astype(object)
    with pytest.raises(GraphError, match=r"node 'x' \(LIF\), field 'tau': holds object"):
        nirbridge.write(io.BytesIO(), nir.NIRGraph({"x": lif}, [], type_check=False))
    lif.tau = None
    affine = nir.Affine(np.ones((2, 3)), None)
    with pytest.raises(GraphError, match=r"node 'x' \(Affine\), field 'bias': is None"):
        nirbridge.write(io.BytesIO(), nir.NIRGraph({"x": affine}, [], type_check=False))
    with pytest.raises(GraphError, match=r"node 'x' \(LIF\), field 'tau': is None"):
        nirbridge.write(io.BytesIO(), nir.NIRGraph({"x": lif}, [], type_check=False))


@pytest.mark.parametrize("dtype", [np.longdouble, np.complex64])
def test_numbers_that_no_runtime_computes_with(dtype: type) -> None:
    """Files give them back and `show` shows their type; `check` and every runtime refuse them, naming the field."""
    lif = nir.LIF(*(np.ones(2) for _ in range(5)))
    lif.tau = lif.tau.astype(dtype)
    nodes = {"input": nir.Input(np.array([2])), "x": lif, "output": nir.Output(np.array([2]))}
    graph = nir.NIRGraph(nodes, [("input", "x"), ("x", "output")], type_check=False)
    back = _written(graph)
    assert back is not None
    assert back.nodes["x"].tau.dtype == dtype
    fields = json.loads(json.dumps(describe(back).to_dict()))["nodes"][1]["fields"]
    assert fields["tau"] == {"shape": [2], "dtype": str(np.dtype(dtype))}
    (problem,) = nirbridge.check(back)
    assert str(problem).startswith(
        f"node 'x' (LIF): tau has dtype {np.dtype(dtype)}, expected real numbers of up to 64"
    )
    for runtime in ("reference", "norse", "lava"):
        with pytest.raises(GraphError, match="tau has dtype"):
            nirbridge.compile(back, runtime)


def test_layers_of_zeros_that_compress_to_nothing_are_read_back() -> None:
    """`read` refuses files that unpack to many times their size: `write` must not make one."""
    nodes = {f"n{i}": nir.Linear(np.zeros((1024, 2048))) for i in range(10)}
    back = _written(nir.NIRGraph(nodes, [], type_check=False))
    assert back is not None
    assert back.nodes["n9"].weight.shape == (1024, 2048)


def test_what_read_refuses_is_not_written() -> None:
    deep = nir.NIRGraph({"x": nir.Scale(np.ones(1))}, [], type_check=False)
    for _ in range(20):
        deep = nir.NIRGraph({"g": deep}, [], type_check=False)
    assert _written(deep) is None
    metadata: dict[str, Any] = {}
    for _ in range(60):
        metadata = {"m": metadata}
    with pytest.raises(nirbridge.errors.NirbridgeError, match="nested deeper"):
        nirbridge.write(io.BytesIO(), nir.NIRGraph({}, [], metadata=metadata, type_check=False))
