"""Graph → NIR's HDF5 layout, whole or not at all."""

from __future__ import annotations

from typing import Any

import h5py
import nir
import numpy as np

from nirbridge.errors import GraphError, brief
from nirbridge.ir.compare import node_differences
from nirbridge.ir.flat import MAX_DEPTH, edge_problems
from nirbridge.ir.guard import SMALL_BYTES, guard
from nirbridge.ir.hdf5_reader import build_node
from nirbridge.ir.normal_form import normal_form
from nirbridge.ir.registry import type_named
from nirbridge.ir.sources import Origin, put

_COMPRESS_FROM = 64
"""Arrays of fewer elements are stored plainly: a compressed chunk costs more than it saves."""
_COMPRESS_UP_TO = SMALL_BYTES // 2
"""Bytes of data that a file holds compressed; what exceeds them is stored plainly, for `read` refuses files that unpack
to many times their size."""
_BLOCK = 2**22
_MAY_BE_NONE = ("input_shape", "input_type")
"""Fields that say nothing where the shape follows from the graph."""


def write(target: Any, graph: nir.NIRGraph) -> None:
    """Writes ``graph`` so that :func:`nirbridge.read` gives it back exactly: values, dtypes and node order.

    A graph of core primitives is a plain NIR file, which ``nir.read`` loads where each node's parameters are of one
    shape; with extension primitives ``nir.read`` refuses it.

    Args:
        target: the path of a file, which is replaced only when the new one is complete, or an object that takes its
            bytes, as ``open(path, "wb")``, ``io.BytesIO`` and ``tempfile.TemporaryFile()``; from its beginning where
            it can seek.
        graph: the graph, nested ones included.  None counts as 0 for the bias of a convolution and for ``v_reset``,
            as 1 for ``w_in``.

    Raises:
        GraphError: a node type is unknown, a name cannot be stored, an edge is listed twice, or a field holds something
            that a file cannot, or that ``read`` would refuse.
        FileError: the file cannot be written.
    """
    put(Origin(target, "write"), _image(graph))


def _image(graph: nir.NIRGraph) -> bytes:
    """The whole file in memory: the library itself cannot be trusted with a disk that gets full."""
    with h5py.File("graph", "w", driver="core", backing_store=False, block_size=_BLOCK, track_order=True) as file:
        file.create_dataset("version", data=nir.version, dtype=h5py.string_dtype())
        _Writer().node(file.create_group("node", track_order=True), graph, "graph", 0)
        file.flush()
        image: bytes = file.id.get_file_image()
        guard(file, "graph", image)
    return image


class _Writer:
    """Fills one file."""

    def __init__(self) -> None:
        self.compressed = 0

    def node(self, group: h5py.Group, node: nir.NIRNode, where: str, depth: int) -> None:
        if type_named(type(node).__name__) is not type(node):
            raise GraphError(where, f"type {type(node).__name__!r} is no NIR primitive", "See nirbridge.ir.PRIMITIVES")
        where = f"{where} ({type(node).__name__})"
        if not (node.metadata is None or isinstance(node.metadata, dict)):
            raise GraphError(where, f"metadata {brief(node.metadata)} are no dictionary", "Give entries by name")
        if type(node) is nir.NIRGraph:
            self.graph(group, node, where, depth)
            return
        plain = normal_form(node)
        stored = plain.to_dict()
        if type(node) is nir.Input or type(node) is nir.Output:
            stored = {"type": stored["type"], "shape": stored["shape"], "metadata": stored["metadata"]}
        if stored.get("shape", ()) is None:
            raise GraphError(
                where, "has no shape, which every NIR file states", "Build it with nirbridge.ir.build_graph"
            )
        self.metadata(group, stored.pop("metadata"), where)
        for key, value in stored.items():
            if value is not None:
                self.value(group, key, value, f"{where}, field {key!r}")
            elif key not in _MAY_BE_NONE:
                raise GraphError(f"{where}, field {key!r}", "is None, which stands for no value", "Give numbers")
        _require_same(plain, stored, where)

    def graph(self, group: h5py.Group, graph: nir.NIRGraph, where: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise GraphError(where, f"graphs are nested deeper than {MAX_DEPTH}", "Flatten some")
        problems = edge_problems(graph)
        if problems:
            raise GraphError.from_problems(problems)
        group.create_dataset("type", data="NIRGraph", dtype=h5py.string_dtype())
        nodes = group.create_group("nodes", track_order=True)
        for name, node in graph.nodes.items():
            _require_name(name, f"node {brief(name)}")
            self.node(nodes.create_group(name, track_order=True), node, f"node {brief(name)}", depth + 1)
        edges = np.array([list(edge) for edge in graph.edges], dtype=object).reshape(-1, 2)
        for name in edges.flat:
            _require_text(name, f"edge to or from {brief(name)}")
        group.create_dataset("edges", data=edges, dtype=h5py.string_dtype())
        self.metadata(group, graph.metadata, where)

    def metadata(self, group: h5py.Group, metadata: dict[str, Any], where: str) -> None:
        if metadata:
            self.value(group, "metadata", metadata, f"{where}, metadata")

    def value(self, group: h5py.Group, key: Any, value: Any, where: str) -> None:
        _require_name(key, where)
        if value is None:
            group.create_dataset(key, data=h5py.Empty("f"))
        elif isinstance(value, dict):
            child = group.create_group(key, track_order=True)
            for inner, item in value.items():
                self.value(child, inner, item, f"{where}.{brief(inner)}")
        elif isinstance(value, str):
            _require_text(value, where)
            group.create_dataset(key, data=value, dtype=h5py.string_dtype())
        else:
            self.array(group, key, _as_array(value, where), where)

    def array(self, group: h5py.Group, key: str, array: np.ndarray[Any, Any], where: str) -> None:
        if array.dtype.kind in "UO":
            for text in array.flat:
                _require_text(text, where)
            group.create_dataset(key, data=array.astype(object), dtype=h5py.string_dtype())
        elif array.size < _COMPRESS_FROM or self.compressed + array.nbytes > _COMPRESS_UP_TO:
            group.create_dataset(key, data=array, dtype=array.dtype)
        else:
            self.compressed += array.nbytes
            group.create_dataset(key, data=array, dtype=array.dtype, compression="gzip", shuffle=True)


def _as_array(value: Any, where: str) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise GraphError(where, f"{brief(value)} is no array", "Use numbers, texts or arrays of them") from error
    texts = array.dtype.kind in "UO" and all(isinstance(item, str) for item in np.asarray(value, dtype=object).flat)
    if not (texts or array.dtype.kind in "iubfc") or isinstance(value, np.ma.MaskedArray):
        held = type(value).__name__ if isinstance(value, np.ma.MaskedArray) else array.dtype
        raise GraphError(where, f"holds {held}, which NIR cannot store", "Use numbers, texts or arrays of them")
    return array


def _require_name(name: Any, where: str) -> None:
    """Refuses what HDF5 cannot store as the name of an object."""
    if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or len(name) > _LONGEST_NAME:
        raise GraphError(where, "HDF5 cannot store this name", f"Use up to {_LONGEST_NAME} letters, no '/'")
    _require_text(name, where)


_LONGEST_NAME = 1000


def _require_text(text: Any, where: str) -> None:
    try:
        storable = isinstance(text, str) and "\0" not in text and bool(text.encode("utf8") or True)
    except UnicodeEncodeError:
        storable = False
    if not storable:
        raise GraphError(where, f"{brief(text)} is no text that HDF5 can store", "Use Unicode text without NUL")


def _require_same(node: nir.NIRNode, stored: dict[str, Any], where: str) -> None:
    """Refuses a node that a reader would refuse, or not give back as it is."""
    back = build_node(type(node), {key: value for key, value in stored.items() if value is not None}, where)
    back.metadata = node.metadata
    found = node_differences(node, back, where)
    if found:
        first = f"{found[0].where}: {found[0].detail}"
        raise GraphError(where, f"would come back from the file changed: {first}", "Give arrays of numbers")
