"""NIR's HDF5 layout → graph: every NIR file and every extended one."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import h5py
import nir
import numpy as np
from nir.serialization import hdf2dict

from nirbridge.errors import FileError, GraphError, brief, reason_of
from nirbridge.ir.flat import MAX_DEPTH, FlatGraph, edge_problems, flatten
from nirbridge.ir.guard import guarded
from nirbridge.ir.inference import set_types
from nirbridge.ir.normal_form import normal_form
from nirbridge.ir.registry import find_spec, stored_names, type_named
from nirbridge.ir.sources import Origin
from nirbridge.primitives.fields import Extension

_NEWEST_MAJOR = 1
_MOST_TEXT = 2**27
"""Bytes that an array of texts may take, in which each text takes as much as the longest."""


def read(source: Any) -> nir.NIRGraph:
    """Reads a NIR file, extended or not.

    Nodes keep the order in which they were written where the file records it; NIR's own writer does not, and its
    files come back in the order of their names.  Parameters of a node keep the shapes that they have in the file,
    scalars beside arrays too.

    Args:
        source: the path of a file, or an object that gives its bytes, as ``open(path, "rb")``, ``io.BytesIO`` and
            ``tempfile.TemporaryFile()``; from its beginning where it can seek.

    Returns:
        The graph, with the types of nodes whose shape follows from the graph filled in.

    Raises:
        FileError: the file is missing, truncated, no HDF5, no NIR, or of a newer major version of NIR.
        GraphError: a primitive, a field or an opset is unknown, a field has a value that the primitive refuses, or an
            edge is listed twice.
    """
    return _read(source)[0]


def read_flat(source: Any) -> FlatGraph:
    """As :func:`read`, with the graph flat and its shapes known: they need not be found again."""
    return _read(source)[1]


def _read(source: Any) -> tuple[nir.NIRGraph, FlatGraph]:
    origin = Origin(source, "read")
    where = origin.where
    with guarded(origin) as file:
        stored = _stored(file, where)
    graph = _node(stored, where, 0)
    if type(graph) is not nir.NIRGraph:
        raise GraphError(where, f"holds a single {type(graph).__name__}", "A NIR file holds a NIRGraph")
    flat = flatten(graph)
    set_types(flat)
    return graph, flat


def _stored(file: h5py.File, where: str) -> dict[str, Any]:
    _require_version(file, where)
    if not isinstance(file.get("node"), h5py.Group):
        netx = "It is a file of lava-dl's netx: run 'nirbridge import' first"
        advice = netx if isinstance(file.get("layer"), h5py.Group) else "This HDF5 file is no NIR graph"
        raise FileError(where, "holds no group 'node'", advice)
    stored: dict[str, Any] = hdf2dict(file["node"])
    return stored


def _require_version(file: h5py.File, where: str) -> None:
    if "version" not in file:
        return
    version = file["version"][()]
    text = version.decode("utf8", "replace") if isinstance(version, bytes) else str(version)
    major = text.split(".")[0]
    if not major.isdigit():
        raise FileError(where, f"NIR version {brief(text)} is not a version", "Export it again")
    if int(major) > _NEWEST_MAJOR:
        raise FileError(where, f"NIR version {text[:40]} is newer than {_NEWEST_MAJOR}.x", "Update nirbridge")


def _node(stored: Any, where: str, depth: int) -> nir.NIRNode:
    if not isinstance(stored, dict) or not isinstance(stored.get("type"), str):
        raise GraphError(where, "has no field 'type'", "This is no NIR node")
    kind = stored["type"]
    cls = type_named(kind)
    if cls is None:
        raise GraphError(where, f"unknown primitive {brief(kind)}", f"Known: {', '.join(sorted(stored_names()))}")
    where = f"{where} ({kind})"
    if not isinstance(stored.get("metadata", {}), dict):
        raise GraphError(where, "its metadata are no group of entries", "Export the graph again")
    return _graph(stored, where, depth) if cls is nir.NIRGraph else build_node(cls, stored, where)


def build_node(cls: type[nir.NIRNode], stored: dict[str, Any], where: str) -> nir.NIRNode:
    """The node whose fields are ``stored`` in a file.

    Raises:
        GraphError: a field is unknown, missing, or has a value that the primitive refuses.
    """
    values = {key: restored(value, f"{where}, field {brief(key)}") for key, value in stored.items()}
    _require_known_fields(cls, values, where)
    try:
        node = cls.from_dict(values) if issubclass(cls, Extension) else _core_node(cls, values)
    except GraphError as error:
        problem = error.problems[0]
        raise GraphError(where, problem.found, problem.next_step) from error
    except Exception as error:  # a primitive of NIR refuses by assert, TypeError, KeyError or AttributeError
        raise GraphError(where, f"its fields do not fit ({reason_of(error)})", "Export the graph again") from error
    return normal_form(node)


def _core_node(cls: type[nir.NIRNode], values: dict[str, Any]) -> nir.NIRNode:
    """A node of NIR, which wants parameters of one shape and infers shapes: both is done here instead."""
    kept: dict[str, Any] = {}
    spec = find_spec(cls)
    if spec is not None and spec.parameters:
        kept = {name: _numbers(values[name], name) for name in spec.parameters if values.get(name) is not None}
        shape = np.broadcast_shapes(*(value.shape for value in kept.values()))
        values = {**values, **{name: np.broadcast_to(value, shape) for name, value in kept.items()}}
    elif spec is not None and spec.operation == "convolution":
        kept = {"input_shape": values.get("input_shape")}
        values = {"bias": None, **values, "input_shape": None}
    node = cls.from_dict(values)
    for name, value in kept.items():
        setattr(node, name, value)
    return node


def _numbers(value: Any, name: str) -> np.ndarray[Any, Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "iubfc":
        raise TypeError(f"{name} holds {array.dtype}, expected numbers")
    return array


def _graph(stored: dict[str, Any], where: str, depth: int) -> nir.NIRGraph:
    if depth > MAX_DEPTH:
        raise GraphError(where, f"graphs are nested deeper than {MAX_DEPTH}")
    unknown = sorted(set(stored) - {"type", "nodes", "edges", "metadata"})
    if unknown:
        raise GraphError(where, f"unknown field {brief(unknown[0])}", "Known: nodes, edges, metadata")
    if not isinstance(stored.get("nodes"), dict):
        raise GraphError(where, "has no nodes", "Export the graph again")
    nodes = {name: _node(child, f"node {brief(name)}", depth + 1) for name, child in stored["nodes"].items()}
    metadata = restored(stored.get("metadata", {}), f"{where}, metadata")
    graph = nir.NIRGraph(nodes, _edges(stored.get("edges"), where), metadata=metadata, type_check=False)
    problems = edge_problems(graph)
    if problems:
        raise GraphError.from_problems([replace(p, where=f"{where}, {p.where}") for p in problems])
    return graph


def _edges(stored: Any, where: str) -> list[tuple[str, str]]:
    if stored is None:
        raise GraphError(where, "has no edges", "Export the graph again")
    table = np.asarray(stored, dtype=object)
    if table.size == 0:
        return []
    if table.ndim != 2 or table.shape[1] != 2 or not all(isinstance(name, (str, bytes)) for name in table.flat):
        raise GraphError(where, f"edges of shape {table.shape} are no list of pairs of names", "Export it again")
    return [(_text(source), _text(target)) for source, target in table]


def _require_known_fields(cls: type[nir.NIRNode], values: dict[str, Any], where: str) -> None:
    if issubclass(cls, Extension):
        return  # it names its own
    names = {field.name for field in fields(cls)} | {"type", "metadata"}
    names |= {"shape"} if cls in (nir.Input, nir.Output) else set()
    unknown = sorted(set(values) - names)
    if unknown:
        raise GraphError(where, f"unknown field {brief(unknown[0])}", "nirbridge drops nothing silently: remove it")


def restored(value: Any, where: str) -> Any:
    """Undoes what HDF5 does to None and to arrays of text.

    Raises:
        GraphError: it is an array of something else, or of texts that would take too much memory.
    """
    if isinstance(value, dict):
        return {key: restored(item, f"{where}.{brief(key)}") for key, item in value.items()}
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "OS":
        if not all(isinstance(item, (str, bytes)) for item in value.flat):
            raise GraphError(where, "is an array of neither numbers nor texts", "Store one or the other")
        if value.size * max(map(len, value.flat), default=0) * 4 > _MOST_TEXT:
            raise GraphError(where, f"texts of shape {value.shape} take more than {_MOST_TEXT} bytes", "Shorten them")
        return np.array([_text(item) for item in value.flat], dtype=np.str_).reshape(value.shape)
    return value


def _text(value: Any) -> str:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)
