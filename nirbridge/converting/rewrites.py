"""Analog graph → the same function, arranged so that every ReLU can become a one-spike neuron.

1. ``pool_after_relu``: max pooling before a ReLU moves behind it, where a pool is "the first spike wins".
2. ``settle_norms``: batch normalisation goes into the threshold of the ReLU behind it, or into weights.
3. ``recode_averages``: averages and aggregations of values that are never negative get a neuron of their own.
4. ``recode_pooled_sums``: so do such sums before a max pooling.
5. ``require_poolable``: max pooling anywhere else is refused.
6. ``split_signs``: an aggregation of sums that may be negative gets two neurons a value before it, one for either sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import nir
import numpy as np

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.bases import input_meets_spikes
from nirbridge.converting.markers import Array, ChannelAffine, Offset, Relu, is_moving, operation_of
from nirbridge.errors import ExportError, Problem
from nirbridge.exporting.normalisation import folded, folds
from nirbridge.ir import MaxPool2d, SparseMatrix, label, mark_copy, original
from nirbridge.primitives.sparse import entries

_AVERAGES = ("mean pool", "sum pool")
_KEEPS_SIGNS = ("max pool", "flatten", "scale", *_AVERAGES)
_SYNAPSES = ("matrix", "convolution", "aggregate")
"""Operations of primitives."""


def gathered_axis(graph: AnalogGraph, name: str) -> int | None:
    """The axis of features that an aggregation over the nodes of a graph sums over; None for other layers.

    An aggregation is an Aggregate, whose nodes come first, or a square Linear without negative weights over the last of
    several axes, as ``networks.TextGCN`` has it.
    """
    node, axes = graph.nodes[name], len(graph.shapes[name])
    if operation_of(node) == "aggregate":
        return 0
    linear = operation_of(node) == "matrix" and not hasattr(node, "bias")
    square = linear and axes > 1 and node.weight.shape[0] == node.weight.shape[1] and not is_moving(node)
    return axes - 1 if square and not (node.weight < 0).any() else None


def pool_after_relu(graph: AnalogGraph) -> AnalogGraph:
    """relu(maxpool(x)) → maxpool(relu(x)): both orders are the same function."""
    for name in graph.of_type(MaxPool2d):
        relu = _relu_behind(graph, name)
        if relu is not None and graph.incoming[relu] == (name,):
            graph = graph.changed({}, {**graph.read_from(relu, name), relu: graph.incoming[name], name: (relu,)})
    return graph


def _relu_behind(graph: AnalogGraph, name: str) -> str | None:
    """The ReLU that alone takes a node's output; it may take others' too."""
    users = graph.consumers[name]
    return users[0] if len(users) == 1 and type(graph.nodes[users[0]]) is Relu else None


def settle_norms(graph: AnalogGraph, into_threshold: bool) -> AnalogGraph:
    """Takes every batch normalisation that follows a layer with weights out of the graph.

    1. Between a layer and a ReLU, each with no other connection, and ``into_threshold``: into the ReLU; not a negative
       scale behind a layer that only moves values, which has no weights for its sign.
    2. Behind a layer that nothing else reads: into its weights.
    3. Anything else stays, as a layer of its own.
    """
    shapes = graph.shapes  # no node changes its own
    for name in graph.of_type(ChannelAffine):
        node, sources = graph.nodes[name], graph.incoming[name]
        before = graph.nodes[sources[0]]
        if len(sources) > 1 or not folds(before, len(shapes[sources[0]])) or graph.consumers[sources[0]] != (name,):
            continue
        relu = _relu_behind(graph, name)
        nodes: dict[str, nir.NIRNode] = {}
        scale, shift, into_weights = node.scale, node.shift, True
        if relu is not None and graph.incoming[relu] == (name,):
            nodes[relu] = replace(graph.nodes[relu], center=node.center, spread=node.spread)
            if into_threshold and not (is_moving(before) and (scale < 0).any()):  # what only moves takes no sign
                dead = scale == 0  # without a threshold that would do: the weights become 0 and the scale 1
                nodes[relu] = replace(nodes[relu], gain=np.where(dead, 1.0, scale), shift=shift)
                scale, shift, into_weights = np.where(dead, 0.0, 1.0), np.zeros(dead.shape), bool(dead.any())
        if into_weights:
            nodes[sources[0]] = folded(before, scale.ravel(), shift.ravel())
        graph = graph.changed(nodes, graph.read_from(name, sources[0]))
    return graph


def never_negative(graph: AnalogGraph, input_too: bool) -> dict[str, bool]:
    """Whether a node's output cannot be below 0, whatever the data."""
    found: dict[str, bool] = {}
    for name in graph.order:
        node, sources = graph.nodes[name], graph.incoming[name]
        if type(node) is nir.Input:
            found[name] = input_too
        elif type(node) is Relu:
            found[name] = True
        else:
            keeps = operation_of(node) in _KEEPS_SIGNS or gathered_axis(graph, name) is not None
            known = is_moving(node) or (keeps and bool((_weights(node) >= 0).all()))
            found[name] = known and all(found[source] for source in sources)
    return found


def _weights(node: nir.NIRNode) -> Array:
    weight = getattr(node, "weight", getattr(node, "scale", 1.0))
    return entries(weight)


def recode_averages(graph: AnalogGraph, input_too: bool) -> AnalogGraph:
    """Puts a ReLU, which changes nothing there, behind averages and aggregations that are never negative.

    Not where a ReLU follows anyway, nor at the readout, which takes sums as they are.
    """
    positive = never_negative(graph, input_too)
    for name in graph.order:
        if operation_of(graph.nodes[name]) not in _AVERAGES and gathered_axis(graph, name) is None:
            continue
        codes_itself = _relu_behind(graph, name) is not None or _is_whole(graph, name) or _read_out(graph, name)
        if positive[name] and not codes_itself:
            graph = graph.inserted_behind(name, graph.free_name(f"{name}.spike"), Relu())
    return graph


def recode_pooled_sums(graph: AnalogGraph, input_too: bool) -> AnalogGraph:
    """Puts a ReLU, which changes nothing there, before max pooling of sums that are never negative."""
    positive = never_negative(graph, input_too)
    for name in graph.of_type(MaxPool2d):
        sources = graph.incoming[name]
        if not _one_spike(graph, sources) and all(positive[source] for source in sources):
            new = graph.free_name(f"{name}.recode")
            graph = graph.changed({new: Relu()}, {new: sources, name: (new,)})
    return graph


def _is_whole(graph: AnalogGraph, name: str) -> bool:
    """A window of one place averages nothing."""
    node = graph.nodes[name]
    return operation_of(node) in _AVERAGES and graph.shapes[name] == graph.shapes[graph.incoming[name][0]]


def _read_out(graph: AnalogGraph, name: str) -> bool:
    users = graph.consumers[name]
    return all(
        type(graph.nodes[user]) is nir.Output
        or (operation_of(graph.nodes[user]) == "flatten" and _read_out(graph, user))
        for user in users
    )


def _one_spike(graph: AnalogGraph, sources: tuple[str, ...]) -> bool:
    """Whether a sum of ``sources`` is one neuron's spikes at every place, at most one a window."""
    nodes = [graph.nodes[source] for source in sources]
    if len(nodes) > 1 and not _side_by_side(nodes):
        return False
    return all(
        type(node) is Relu
        or ((operation_of(node) == "max pool" or is_moving(node)) and _one_spike(graph, graph.incoming[source]))
        for source, node in zip(sources, nodes, strict=True)
    )


def _side_by_side(nodes: Sequence[nir.NIRNode]) -> bool:
    """Whether all nodes put their values to channels of their own, as a concatenation does."""
    if any(operation_of(node) != "place" for node in nodes):
        return False
    slots = sorted((node.start, node.stop) for node in nodes)
    return all(before[1] <= behind[0] for before, behind in pairwise(slots))


def require_poolable(graph: AnalogGraph) -> None:
    """Refuses max pooling of values that are not one neuron's spikes.

    Raises:
        ExportError: every such pooling, by name.
    """
    found = "takes the largest of values that may be negative; spikes only tell the largest of ReLU's outputs"
    problems = [
        Problem(label(name, graph.nodes[name]), found, "Put a ReLU straight before or behind it")
        for name in graph.of_type(MaxPool2d)
        if not _one_spike(graph, graph.incoming[name])
    ]
    if problems:
        raise ExportError.from_problems(problems)


def split_signs(graph: AnalogGraph) -> AnalogGraph:
    r"""Puts two ReLUs before aggregations of weighted sums, of which at most one is above 0 for a value.

    .. math::
        \hat A z = \hat A \, relu(z) - \hat A \, relu(-z)

    The layers that add up to z are there twice then, the second time with negated weights and biases, and so is Â.
    Spikes and the coded input, scaled or shifted perhaps, are aggregated as they are.  So are sums where the spikes of
    the aggregation would meet the coded input in another sum, which would cost the input its base 2.
    """
    for name in graph.order:
        if gathered_axis(graph, name) is not None and any(_sums(graph, source) for source in graph.incoming[name]):
            split = _split(graph, name)
            if input_meets_spikes(graph) or not input_meets_spikes(split):
                graph = split
    return graph


def _sums(graph: AnalogGraph, name: str) -> bool:
    """Whether a value consists of weighted sums, at least in part, instead of spikes or the coded input."""
    node = graph.nodes[name]
    if operation_of(node) in _SYNAPSES and not is_moving(node):
        return True
    return type(node) is not Relu and any(_sums(graph, source) for source in graph.incoming[name])


def _split(graph: AnalogGraph, name: str) -> AnalogGraph:
    """Aggregations of the same sum share their ReLUs."""
    sources, users = graph.incoming[name], graph.consumers[name]
    halves = [relu for relu in graph.of_type(Relu) if graph.nodes[relu].opposite and graph.incoming[relu] == sources]
    if not halves:
        plus, minus = graph.free_name(f"{name}.plus"), graph.free_name(f"{name}.minus")
        negatives = []
        for source in sources:
            graph, negative = _negated(graph, source)
            negatives.append(negative)
        pair = {plus: Relu(opposite=minus), minus: Relu(opposite=plus)}
        graph = graph.changed(pair, {plus: sources, minus: tuple(negatives)})
        halves = [plus]
    plus, minus = halves[0], graph.nodes[halves[0]].opposite
    copy = graph.free_name(f"{name}.negated")
    # The order of a graph goes through the last source first.
    terms = {source: (source,) for user in users for source in graph.incoming[user]} | {name: (copy, name)}
    both = {user: tuple(term for source in graph.incoming[user] for term in terms[source]) for user in users}
    return graph.changed({copy: _negative(name, graph.nodes[name])}, {name: (plus,), copy: (minus,), **both})


def _negated(graph: AnalogGraph, name: str) -> tuple[AnalogGraph, str]:
    """The graph with a node for -1 times the value of ``name``, and the node's name.

    1. A layer with weights: the same with negated ones.
    2. Sums of such layers, scaled, shifted, averaged: the same of the negated ones.
    3. Spikes or the coded input: times -1.
    """
    node, new = graph.nodes[name], graph.free_name(f"{name}.negated")
    if operation_of(node) in _SYNAPSES and not is_moving(node):
        return graph.changed({new: _negative(name, node)}, {new: graph.incoming[name]}), new
    if not _sums(graph, name):
        return graph.changed({new: nir.Scale(np.asarray(-1.0))}, {new: (name,)}), new
    sources = []
    for source in graph.incoming[name]:
        graph, negative = _negated(graph, source)
        sources.append(negative)
    return graph.changed({new: _negative(name, node)}, {new: tuple(sources)}), new


def _negative(name: str, node: Any) -> nir.NIRNode:
    """-f(x) for a layer with weights; -f(-x) for others, of which constants alone change their sign."""
    negative = _opposite(node)
    mark_copy(negative, original(name, node))
    return negative


def _opposite(node: Any) -> nir.NIRNode:
    if type(node) is Offset:
        return replace(node, value=-node.value)
    if type(node) is ChannelAffine:
        return replace(node, shift=-node.shift)
    if operation_of(node) not in _SYNAPSES or is_moving(node):
        return replace(node)
    stored = node.weight
    weight = replace(stored, value=-stored.value) if isinstance(stored, SparseMatrix) else -stored
    return replace(node, weight=weight, **({"bias": -node.bias} if hasattr(node, "bias") else {}))


def arrange(graph: AnalogGraph, into_threshold: bool, spiking_averages: bool, input_too: bool) -> AnalogGraph:
    """All rewrites in order.

    Args:
        graph: the network.
        into_threshold: where batch normalisation goes; else into weights.
        spiking_averages: whether averages and aggregations get neurons of their own.
        input_too: whether the network's input is never negative.
    """
    graph = settle_norms(pool_after_relu(graph), into_threshold)
    if spiking_averages:
        graph = recode_averages(graph, input_too)
    graph = recode_pooled_sums(graph, input_too)
    require_poolable(graph)
    return split_signs(graph) if spiking_averages else graph
