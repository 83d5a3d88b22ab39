"""What differs between two graphs: nodes, fields with how far their values are apart, edges."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.reports import counted, shape_text

_SHAPE_FIELDS = ("input_type", "output_type")
_STATED = {nir.Input: "input_type", nir.Output: "output_type", nir.Flatten: "input_type"}
"""Node type → the one of these that files hold."""


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        where: the node, its field as ``fc.weight``, or "edges", "order", "metadata".
        kind: "only in A", "only in B" or "changed".
        detail: what it is, in words.
    """

    where: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.where}: {self.kind}: {self.detail}"


def differences(left: nir.NIRGraph, right: nir.NIRGraph, prefix: str = "") -> list[Difference]:
    """Every difference between two graphs, A and B.

    Shapes that follow from the graph are not compared; types, values, dtypes, metadata, edges and the order of nodes
    and edges are, for the order decides which edge of a cycle is delayed.
    """
    found = [*_only(left, right, "only in A", prefix), *_only(right, left, "only in B", prefix)]
    for name in left.nodes:
        if name in right.nodes:
            found += node_differences(left.nodes[name], right.nodes[name], prefix + name)
    found += _edges(left, right, prefix)
    found += _value(left.metadata, right.metadata, f"{prefix}metadata")
    if left.nodes.keys() == right.nodes.keys() and list(left.nodes) != list(right.nodes):
        found.append(Difference(f"{prefix}order", "changed", "the same nodes in another order"))
    return found


def graph_differences(left: nir.NIRGraph, right: nir.NIRGraph) -> list[str]:
    """One line for each difference between two graphs, as ``nirbridge diff`` prints them, none where they are equal.

    Types, values, dtypes, node order, edges and metadata count; shapes that NIR infers do not.
    """
    return [str(difference) for difference in differences(left, right)]


def graphs_equal(left: nir.NIRGraph, right: nir.NIRGraph) -> bool:
    """Whether :func:`graph_differences` finds none."""
    return not differences(left, right)


def _only(here: nir.NIRGraph, there: nir.NIRGraph, kind: str, prefix: str) -> Iterator[Difference]:
    for name, node in here.nodes.items():
        if name not in there.nodes:
            yield Difference(prefix + name, kind, f"node of type {type(node).__name__}")


def node_differences(left: nir.NIRNode, right: nir.NIRNode, where: str) -> list[Difference]:
    """Every difference between two nodes."""
    if type(left) is not type(right):
        return [Difference(where, "changed", f"type {type(left).__name__} became {type(right).__name__}")]
    if isinstance(left, nir.NIRGraph) and isinstance(right, nir.NIRGraph):
        return differences(left, right, f"{where}.")
    stated = _STATED.get(type(left))
    return [
        difference
        for field in fields(left)
        if field.name == stated or field.name not in _SHAPE_FIELDS
        for difference in _value(getattr(left, field.name), getattr(right, field.name), f"{where}.{field.name}")
    ]


def _value(left: Any, right: Any, where: str) -> list[Difference]:
    if left is None or right is None:
        return [] if left is right else [Difference(where, "changed", f"{_short(left)} became {_short(right)}")]
    if is_dataclass(left) and type(left) is type(right):
        left, right = vars(left), vars(right)
    if isinstance(left, dict) and isinstance(right, dict):
        keys = [*left, *(key for key in right if key not in left)]
        found = [d for key in keys for d in _value(left.get(key), right.get(key), f"{where}.{key}")]
        for kind, here, there in (("only in A", left, right), ("only in B", right, left)):
            none = [key for key, value in here.items() if value is None and key not in there]
            found += [Difference(f"{where}.{key}", kind, "None") for key in none]
        return found
    a, b = np.asarray(left), np.asarray(right)
    if a.shape != b.shape:
        return [Difference(where, "changed", f"shape {shape_text(a.shape)} became {shape_text(b.shape)}")]
    if a.dtype != b.dtype and not (_is_text(a) and _is_text(b)):
        return [Difference(where, "changed", f"dtype {a.dtype} became {b.dtype}")]
    numeric = a.dtype.kind in "fiubc"
    # Without NaN first: to leave it out copies both.
    if np.array_equal(a, b) or (a.dtype.kind in "fc" and np.array_equal(a, b, equal_nan=True)):
        return []
    if a.size == 1 or not numeric:
        return [Difference(where, "changed", f"{_short(left)} became {_short(right)}")]
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    apart = np.abs(a.astype(wide) - b.astype(wide))
    text = f"{int((a != b).sum())} of {counted(a.size, 'value')} differ, by {np.nanmax(apart):.3g} at most"
    return [Difference(where, "changed", text)]


def _is_text(array: np.ndarray[Any, Any]) -> bool:
    return array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(item, str) for item in array.flat))


def _short(value: Any) -> str:
    text = " ".join(str(np.asarray(value).tolist() if isinstance(value, np.ndarray) else value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def _edges(left: nir.NIRGraph, right: nir.NIRGraph, prefix: str) -> list[Difference]:
    here, there = ([(str(source), str(target)) for source, target in graph.edges] for graph in (left, right))
    a, b = Counter(here), Counter(there)
    found = [
        Difference(f"{prefix}edges", kind, f"{source} -> {target}" + (f", {count} times" if count > 1 else ""))
        for kind, more in (("only in A", a - b), ("only in B", b - a))
        for (source, target), count in more.items()
    ]
    if not found and here != there:
        found.append(Difference(f"{prefix}order", "changed", "the same edges in another order"))
    return found
