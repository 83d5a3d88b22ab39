"""Rules about nodes and edges."""

from __future__ import annotations

import nir

from nirbridge.checking.by_node import Said, by_node
from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, Place, Product, is_input, label
from nirbridge.ir.registry import type_named
from nirbridge.ir.topology import reached


@by_node
def types_are_known(node: nir.NIRNode) -> Said:
    """Every node is a primitive of NIR or of nirbridge, by its exact type."""
    if type_named(type(node).__name__) is not type(node):
        yield "its type is no NIR primitive", "See nirbridge.ir.PRIMITIVES"


def graph_has_input_and_output(flat: FlatGraph) -> list[Problem]:
    """Data can enter and leave."""
    problems = []
    if not flat.inputs:
        problems.append(Problem("graph", "has no Input or EventInput node", "Add one"))
    if not flat.outputs:
        problems.append(Problem("graph", "has no Output node", "Add one"))
    return problems


def inputs_begin_and_outputs_end(flat: FlatGraph) -> list[Problem]:
    """Nothing leads into an input, or on from an output."""
    problems = [
        Problem(label(target, flat.nodes[target]), f"'{source}' leads into it", "Remove the edge")
        for source, target in flat.edges
        if is_input(flat.nodes[target])
    ]
    return problems + [
        Problem(label(source, flat.nodes[source]), f"it leads on to '{target}'", "Remove the edge")
        for source, target in flat.edges
        if type(flat.nodes[source]) is nir.Output
    ]


def nodes_are_reached(flat: FlatGraph) -> list[Problem]:
    """Data, or a cycle that runs on biases alone, reach every node, and every node reaches an output."""
    inputs, outputs = flat.inputs, flat.outputs
    fed = reached((*inputs, *flat.topology.loop), flat.targets)
    used = reached(outputs, flat.sources)
    problems = []
    for name, node in flat.nodes.items():
        if inputs and name not in fed:
            problems.append(Problem(label(name, node), "no data reach it", "Connect it to an Input or remove it"))
        elif outputs and name not in used:
            problems.append(Problem(label(name, node), "it leads to no Output", "Connect it or remove it"))
    return problems


def names_of_records_are_free(flat: FlatGraph) -> list[Problem]:
    """No node bears the name by which the membrane of another is recorded."""
    return [
        Problem(label(name, node), f"its name is that of the membrane of node '{name[:-2]}'", "Rename one of them")
        for name, node in flat.nodes.items()
        if name.endswith(":v") and name[:-2] in flat.nodes
    ]


def products_have_their_factors(flat: FlatGraph) -> list[Problem]:
    """Every index of a Product's slots is fed: a factor that no edge brings would be 0, and the product with it."""
    problems = []
    for name, node in flat.nodes.items():
        if type(node) is not Product:
            continue
        senders = [flat.nodes[source] for source in flat.sources(name)]
        if not senders or any(type(sender) is not Place for sender in senders):
            continue
        fed = 0
        for sender in sorted(senders, key=lambda sender: sender.start):
            if sender.start > fed:
                break
            fed = max(fed, sender.stop)
        if fed < node.input_shape[0]:
            factor = fed // node.output_shape[0]
            found = f"no edge brings index {fed} of axis 0, which belongs to factor {factor}, so it would send 0"
            problems.append(Problem(label(name, node), found, "Connect a Place for this factor"))
    return problems


STRUCTURE_RULES = (
    types_are_known,
    graph_has_input_and_output,
    inputs_begin_and_outputs_end,
    nodes_are_reached,
    names_of_records_are_free,
    products_have_their_factors,
)
