"""Graph → NIR's HDF5 layout, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

import h5py
import nir
import numpy as np

from nirbridge.errors import GraphError
from nirbridge.files import atomic_write
from nirbridge.ir.normal_form import normal_form
from nirbridge.ir.registry import PRIMITIVES

_COMPRESS_FROM = 64
"""Arrays of fewer elements are stored plainly: a compressed chunk costs more than it saves."""
_COMPRESS_TO = 2**24
"""Arrays of more bytes too: weights hardly compress, and `read` refuses files that unpack to many times their size."""


def write(path: str | os.PathLike[str], graph: nir.NIRGraph) -> None:
    """Writes ``graph`` so that :func:`nirbridge.read` gives it back exactly: values, dtypes and node order.

    A graph of core primitives is a plain NIR file, which ``nir.read`` loads; with extension primitives
    ``nir.read`` refuses it.

    Args:
        path: the file; an existing one is replaced only when the new one is complete.
        graph: the graph, nested ones included.

    Raises:
        GraphError: a node type is unknown, a name cannot be stored, or a field holds something that is no number,
            text or array of them.
        FileError: the file cannot be written.
    """
    with atomic_write(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        file.create_dataset("version", data=nir.version, dtype=h5py.string_dtype())
        _write_node(file.create_group("node", track_order=True), graph, "graph")


def _write_node(group: h5py.Group, node: nir.NIRNode, where: str) -> None:
    if PRIMITIVES.get(type(node).__name__) is not type(node):
        raise GraphError(where, f"type {type(node).__name__!r} is no NIR primitive", "See nirbridge.ir.PRIMITIVES")
    if type(node) is nir.NIRGraph:
        _write_graph(group, node, where)
        return
    stored = normal_form(node).to_dict()
    if type(node) is nir.Input or type(node) is nir.Output:
        stored = {"type": stored["type"], "shape": stored["shape"], "metadata": stored["metadata"]}
    where = f"{where} ({type(node).__name__})"
    if stored.get("shape", ()) is None:
        raise GraphError(where, "has no shape, which every NIR file states", "Build it with nirbridge.ir.build_graph")
    for key, value in stored.items():
        if key == "metadata":
            _write_metadata(group, value, where)
        elif value is not None:
            _write_value(group, key, value, f"{where}, field {key!r}")


def _write_graph(group: h5py.Group, graph: nir.NIRGraph, where: str) -> None:
    group.create_dataset("type", data="NIRGraph", dtype=h5py.string_dtype())
    nodes = group.create_group("nodes", track_order=True)
    for name, node in graph.nodes.items():
        if not isinstance(name, str) or not name or "/" in name or "\0" in name or name in (".", ".."):
            raise GraphError(f"node {name!r}", "HDF5 cannot store this name", "Use a name without '/'")
        _write_node(nodes.create_group(name, track_order=True), node, f"node {name!r}")
    edges = np.array([list(edge) for edge in graph.edges], dtype=object).reshape(-1, 2)
    group.create_dataset("edges", data=edges, dtype=h5py.string_dtype())
    _write_metadata(group, graph.metadata, where)


def _write_metadata(group: h5py.Group, metadata: dict[str, Any], where: str) -> None:
    if metadata:
        _write_value(group, "metadata", metadata, f"{where}, metadata")


def _write_value(group: h5py.Group, key: Any, value: Any, where: str) -> None:
    if not isinstance(key, str) or not key or "/" in key:
        raise GraphError(where, f"key {key!r} cannot be stored", "Use a text without '/'")
    if value is None:
        group.create_dataset(key, data=h5py.Empty("f"))
    elif isinstance(value, dict):
        child = group.create_group(key, track_order=True)
        for inner, item in value.items():
            _write_value(child, inner, item, f"{where}.{inner}")
    elif isinstance(value, str):
        group.create_dataset(key, data=value, dtype=h5py.string_dtype())
    else:
        _write_array(group, key, np.asarray(value), where)


def _write_array(group: h5py.Group, key: str, array: Any, where: str) -> None:
    if array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat)):
        group.create_dataset(key, data=array.astype(object), dtype=h5py.string_dtype())
    elif array.dtype.kind not in "fiubc":
        raise GraphError(where, f"holds {array.dtype}, which NIR cannot store", "Use numbers, texts or arrays of them")
    elif array.size < _COMPRESS_FROM or array.nbytes > _COMPRESS_TO:
        group.create_dataset(key, data=array, dtype=array.dtype)
    else:
        group.create_dataset(key, data=array, dtype=array.dtype, compression="gzip", shuffle=True)
