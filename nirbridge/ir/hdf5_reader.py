"""NIR's HDF5 layout → graph: every NIR file and every extended one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
from nir.serialization import hdf2dict

from nirbridge.errors import FileError, GraphError, NirbridgeError
from nirbridge.ir.extension import Extension
from nirbridge.ir.guard import guard
from nirbridge.ir.heaps import longest_text
from nirbridge.ir.inference import set_types
from nirbridge.ir.registry import PRIMITIVES

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NEWEST_MAJOR = 1
_MAX_GRAPH_DEPTH = 16
_OPTIONAL = {nir.Conv1d: ("input_shape",), nir.Conv2d: ("input_shape",)}


def read(path: str | os.PathLike[str]) -> nir.NIRGraph:
    """Reads a NIR file, extended or not.

    Nodes keep the order in which they were written where the file records it; NIR's own writer does not, and its
    files come back in the order of their names.

    Args:
        path: the file.

    Returns:
        The graph, with the types of nodes whose shape follows from the graph filled in.

    Raises:
        FileError: the file is missing, truncated, no HDF5, no NIR, or of a newer major version of NIR.
        GraphError: a primitive, a field or an opset is unknown, or a field has a value that the primitive refuses.
    """
    where = f"file '{path}'"
    _require_hdf5(Path(path), where)
    longest = longest_text(Path(path), where)
    try:
        with h5py.File(path, "r") as file:
            guard(file, where, longest)
            _require_version(file, where)
            if not isinstance(file.get("node"), h5py.Group):
                raise FileError(where, "holds no group 'node'", "This HDF5 file is no NIR graph")
            stored = hdf2dict(file["node"])
    except NirbridgeError:
        raise
    except Exception as error:  # h5py raises a dozen types on damaged files, the name of the file is what matters
        raise FileError(where, f"is damaged ({_short(error)})", "Export or copy it again") from error
    graph = _node(stored, where, 0)
    if type(graph) is not nir.NIRGraph:
        raise GraphError(where, f"holds a single {type(graph).__name__}", "A NIR file holds a NIRGraph")
    set_types(graph)
    return graph


def _require_hdf5(path: Path, where: str) -> None:
    if not path.exists():
        raise FileError(where, "does not exist", "Check the path")
    if path.is_dir():
        raise FileError(where, "is a folder", "Give the .nir file inside it")
    try:
        with path.open("rb") as file:
            head = file.read(len(_HDF5_SIGNATURE))
    except OSError as error:
        raise FileError(where, f"cannot be read ({error.strerror})", "Check its permissions") from error
    if head != _HDF5_SIGNATURE:
        found = "is empty" if not head else "is no HDF5 file"
        raise FileError(where, found, "nirbridge reads NIR graphs, which are HDF5 files")


def _require_version(file: h5py.File, where: str) -> None:
    if "version" not in file:
        return
    version = file["version"][()]
    text = version.decode("utf8", "replace") if isinstance(version, bytes) else str(version)
    major = text.split(".")[0]
    if not major.isdigit():
        raise FileError(where, f"NIR version {text!r} is not a version", "Export it again")
    if int(major) > _NEWEST_MAJOR:
        raise FileError(where, f"NIR version {text} is newer than {_NEWEST_MAJOR}.x", "Update nirbridge")


def _node(stored: Any, where: str, depth: int) -> nir.NIRNode:
    if not isinstance(stored, dict) or not isinstance(stored.get("type"), str):
        raise GraphError(where, "has no field 'type'", "This is no NIR node")
    kind = stored["type"]
    cls = PRIMITIVES.get(kind)
    if cls is None:
        raise GraphError(where, f"unknown primitive {kind!r}", f"Known: {', '.join(sorted(PRIMITIVES))}")
    where = f"{where} ({kind})"
    if not isinstance(stored.get("metadata", {}), dict):
        raise GraphError(where, "its metadata are no group of entries", "Export the graph again")
    if cls is nir.NIRGraph:
        return _graph(stored, where, depth)
    values = {key: _restored(value) for key, value in stored.items()}
    if issubclass(cls, Extension):
        build: Callable[[dict[str, Any]], nir.NIRNode] = cls.from_dict
    else:
        _require_known_fields(cls, values, where)
        build = cls.from_dict
        for name in _OPTIONAL.get(cls, ()):
            values.setdefault(name, None)
    try:
        return build(values)
    except GraphError as error:
        problem = error.problems[0]
        raise GraphError(where, problem.found, problem.next_step) from error
    except Exception as error:  # a primitive of NIR refuses by assert, TypeError, KeyError or AttributeError
        raise GraphError(where, f"its fields do not fit ({_short(error)})", "Export the graph again") from error


def _graph(stored: dict[str, Any], where: str, depth: int) -> nir.NIRGraph:
    if depth > _MAX_GRAPH_DEPTH:
        raise GraphError(where, f"graphs are nested deeper than {_MAX_GRAPH_DEPTH}")
    unknown = sorted(set(stored) - {"type", "nodes", "edges", "metadata"})
    if unknown:
        raise GraphError(where, f"unknown field {unknown[0]!r}", "Known: nodes, edges, metadata")
    if not isinstance(stored.get("nodes"), dict):
        raise GraphError(where, "has no nodes", "Export the graph again")
    nodes = {name: _node(child, f"node {name!r}", depth + 1) for name, child in stored["nodes"].items()}
    metadata = _restored(stored.get("metadata", {}))
    return nir.NIRGraph(nodes, _edges(stored.get("edges"), where), metadata=metadata, type_check=False)


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
    names = {field.name for field in fields(cls)} | {"type", "metadata"}
    names |= {"shape"} if cls in (nir.Input, nir.Output) else set()
    unknown = sorted(set(values) - names)
    if unknown:
        raise GraphError(where, f"unknown field {unknown[0]!r}", "nirbridge drops nothing silently: remove it")


def _restored(value: Any) -> Any:
    """Undoes what HDF5 does to None and to arrays of text."""
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return np.array([_text(item) for item in value.flat]).reshape(value.shape)
    return value


def _text(value: Any) -> str:
    return value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
