"""The ends of a graph of integers, so that it takes the data of the float graph, and its outputs mean the same.

Behind each input stands a Quantize; before each output a Scale by what its integer 1 stands for.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.ir import Quantize, is_input
from nirbridge.ir.stated_shapes import declared_shape


def with_quantize_nodes(graph: nir.NIRGraph, steps: Mapping[str, float], limit: int) -> nir.NIRGraph:
    """The flat graph with ``Quantize(shape, step, -limit, limit)`` between each Input and what it feeds.

    An Input that feeds a Quantize already feeds it on: its integers are the graph's own.
    """
    names = {name: unused_name(f"{name}_quantize", graph.nodes) for name, node in graph.nodes.items() if is_input(node)}
    edges = []
    used = set()
    for source, target in graph.edges:
        if source in names and type(graph.nodes[target]) is not Quantize:
            used.add(source)
            source = names[source]
        edges.append((source, target))
    nodes: dict[str, nir.NIRNode] = {}
    for name, node in graph.nodes.items():
        nodes[name] = node
        if name in used:
            nodes[names[name]] = Quantize(declared_shape(node), steps[name], -limit, limit)
            edges.append((name, names[name]))
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False)


def with_units(graph: nir.NIRGraph, units: Mapping[str, NDArray[Any]]) -> nir.NIRGraph:
    """The flat graph with a Scale before each Output, by what the integer 1 stands for that reaches it.

    Where that is 1, as of spikes, there is none.
    """
    units = {name: unit for name, unit in units.items() if (np.asarray(unit) != 1).any()}
    names = {name: unused_name(f"{name}_unit", graph.nodes) for name in units}
    edges = [(source, names.get(target, target)) for source, target in graph.edges]
    nodes: dict[str, nir.NIRNode] = {}
    for name, node in graph.nodes.items():
        if name in units:
            nodes[names[name]] = nir.Scale(_over(units[name], declared_shape(node)))
            edges.append((names[name], name))
        nodes[name] = node
    return nir.NIRGraph(nodes, edges, metadata=graph.metadata, type_check=False)


def _over(unit: NDArray[Any], shape: Any) -> NDArray[Any]:
    """One number, or one for each value."""
    return np.asarray(unit) if np.ndim(unit) == 0 else np.broadcast_to(unit, shape).copy()


def unused_name(name: str, taken: Container[str]) -> str:
    """``name``, with underscores behind it as long as it is taken."""
    while name in taken:
        name += "_"
    return name
