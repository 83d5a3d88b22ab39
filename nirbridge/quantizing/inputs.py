"""Quantize nodes behind the inputs, so that the graph of integers takes the data of the float graph."""

from __future__ import annotations

from collections.abc import Mapping

import nir

from nirbridge.ir import Quantize, is_input
from nirbridge.ir.stated_shapes import declared_shape


def with_quantize_nodes(graph: nir.NIRGraph, steps: Mapping[str, float], limit: int) -> nir.NIRGraph:
    """The flat graph with ``Quantize(shape, step, -limit, limit)`` between each Input and what it feeds.

    An Input that feeds a Quantize already feeds it on: its integers are the graph's own.
    """
    names = {name: _free(f"{name}_quantize", graph) for name, node in graph.nodes.items() if is_input(node)}
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


def _free(name: str, graph: nir.NIRGraph) -> str:
    while name in graph.nodes:
        name += "_"
    return name
