"""Whether two graphs are equal: node by node, field by field, dtype by dtype."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import nir
import numpy as np

_SHAPE_FIELDS = ("input_type", "output_type")
_STATED = {nir.Input: "input_type", nir.Output: "output_type", nir.Flatten: "input_type"}
"""Node type → the one of these that files hold."""


def graph_differences(left: nir.NIRGraph, right: nir.NIRGraph, where: str = "") -> list[str]:
    """One line for each difference between two graphs, none where they are equal.

    Types, values, dtypes, node order, edges and metadata count; shapes that NIR infers do not.
    """
    lines = []
    if list(left.nodes) != list(right.nodes):
        lines.append(f"{where or 'graph'}: nodes {list(left.nodes)} != {list(right.nodes)}")
    if [tuple(edge) for edge in left.edges] != [tuple(edge) for edge in right.edges]:
        lines.append(f"{where or 'graph'}: edges {left.edges} != {right.edges}")
    lines += _value_differences(left.metadata, right.metadata, f"{where}metadata")
    for name in left.nodes.keys() & right.nodes.keys():
        lines += node_differences(left.nodes[name], right.nodes[name], f"{where}{name}")
    return lines


def graphs_equal(left: nir.NIRGraph, right: nir.NIRGraph) -> bool:
    """Whether :func:`graph_differences` finds none."""
    return not graph_differences(left, right)


def node_differences(left: nir.NIRNode, right: nir.NIRNode, where: str) -> list[str]:
    """One line for each difference between two nodes."""
    if type(left) is not type(right):
        return [f"{where}: {type(left).__name__} != {type(right).__name__}"]
    if isinstance(left, nir.NIRGraph):
        return graph_differences(left, right, f"{where}.")
    stated = _STATED.get(type(left))
    names = [field.name for field in fields(left) if field.name == stated or field.name not in _SHAPE_FIELDS]
    return [
        line
        for name in names
        for line in _value_differences(getattr(left, name), getattr(right, name), f"{where}.{name}")
    ]


def _value_differences(left: Any, right: Any, where: str) -> list[str]:
    if left is None or right is None:
        return [] if left is right else [f"{where}: {left} != {right}"]
    if is_dataclass(left) and type(left) is type(right):
        left, right = vars(left), vars(right)
    if isinstance(left, dict) and isinstance(right, dict):
        lines = [] if left.keys() == right.keys() else [f"{where}: keys {sorted(left)} != {sorted(right)}"]
        return lines + [
            line
            for key in sorted(left.keys() & right.keys())
            for line in _value_differences(left[key], right[key], f"{where}.{key}")
        ]
    a, b = np.asarray(left), np.asarray(right)
    if a.dtype != b.dtype and not (_is_text(a) and _is_text(b)):
        return [f"{where}: dtype {a.dtype} != {b.dtype}"]
    if a.shape != b.shape:
        return [f"{where}: shape {a.shape} != {b.shape}"]
    same = np.array_equal(a, b, equal_nan=a.dtype.kind in "fc")
    return [] if same else [f"{where}: values differ"]


def _is_text(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat))
