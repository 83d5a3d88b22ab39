"""Expanded graph → extension primitives: the way back."""

from __future__ import annotations

from copy import copy
from itertools import count, takewhile
from typing import Any

import nir
import numpy as np

from nirbridge.expanding import multilevel, others
from nirbridge.expanding.fragment import CannotExpandError, Fragment
from nirbridge.ir import (
    FlatGraph,
    MaxPool2d,
    MultiLevelLIF,
    Shapes,
    build_graph,
    flatten,
    graphs_equal,
    infer_shapes,
    spec_of,
)

Nodes = dict[str, nir.NIRNode]
Edges = list[tuple[str, str]]
_DIGITS = 12
"""Decimal digits of a decay or a step that was given as a decimal number."""


def fuse(graph: nir.NIRGraph) -> nir.NIRGraph:
    """Recognises what :func:`nirbridge.expand` made of ``MultiLevelLIF`` and ``MaxPool2d``, and folds it back.

    A group of nodes ``name.part`` is read as a primitive, which is expanded again: where that gives the same nodes and
    edges, value by value, the primitive takes their place; everything else stays as it is.  Nothing relies on names
    alone, nor on the dtype of values.  Single-lane neurons that became an IF or LIF stay so: they are core NIR.

    Args:
        graph: any graph; nested graphs are flattened.
    """
    flat = flatten(graph)
    shapes, _ = infer_shapes(flat)
    nodes, edges = {name: _in_doubles(node) for name, node in flat.nodes.items()}, list(flat.edges)
    folded: dict[str, nir.NIRNode] = {}
    for read in (_read_neuron, _read_pool):
        for name in [name for name in nodes if f"{name}.fired0" in nodes or f"{name}.any0" in nodes]:
            try:
                node, fragment = read(name, nodes, edges, shapes)
            except (AttributeError, KeyError, ValueError, CannotExpandError):  # parts of something else
                continue
            if _is_whole(fragment, nodes, edges):
                folded[name] = node
                nodes, edges = _folded(fragment, node, nodes, edges)
    return build_graph({name: folded.get(name, flat.nodes[name]) for name in nodes}, edges, graph.metadata)


def _in_doubles(node: nir.NIRNode) -> nir.NIRNode:
    """With parameters as expanding makes them, in double precision, whatever a file stores them in."""
    wide = copy(node)
    for field in spec_of(node).parameters:
        setattr(wide, field, np.asarray(getattr(node, field), dtype=np.float64))
    return wide


def _numbered(name: str, part: str, nodes: Nodes, first: int = 0) -> list[Any]:
    """The nodes ``name.part0``, ``name.part1``, .. as far as they go."""
    names = takewhile(nodes.__contains__, (f"{name}.{part}{number}" for number in count(first)))
    return [nodes[found] for found in names]


def _read_neuron(name: str, nodes: Nodes, edges: Edges, shapes: dict[str, Shapes]) -> tuple[nir.NIRNode, Fragment]:
    """The neuron whose expansion the parts may be, and that expansion, which decides whether they are."""
    node = (_hard if f"{name}.turn" in nodes else _soft)(name, nodes, shapes)
    return node, multilevel.every_step(name, node, _step(name, node, nodes), approximate=False)


def _soft(name: str, nodes: Nodes, shapes: dict[str, Shapes]) -> MultiLevelLIF:
    drive: Any = nodes[f"{name}.drive"]
    below, fired = _numbered(name, "below", nodes), _numbered(name, "fired", nodes)
    sent, taken = _numbered(name, "send", nodes), _numbered(name, "take", nodes)
    thresholds = np.stack([-node.threshold for node in below] or [node.threshold for node in fired])
    weights = np.cumsum([node.scale for node in sent], axis=0)
    resets = np.cumsum([-node.scale for node in taken], axis=0) if taken else thresholds
    leak: Any = nodes.get(f"{name}.leak")
    decay = leak.scale if leak is not None else np.zeros(())
    return MultiLevelLIF(
        shape=shapes[name].output,
        decay=_compact(decay),
        gain=_compact(drive.scale),
        v_init=_compact(_start(name, nodes, decay)),
        lane_threshold=_compact_lanes(thresholds),
        lane_weight=_compact_lanes(weights),
        lane_reset=_compact_lanes(thresholds if np.allclose(resets, thresholds, rtol=1e-12, atol=0) else resets),
        v_reset=np.zeros(()),
        boundary=">=" if below else ">",
    )


def _hard(name: str, nodes: Nodes, shapes: dict[str, Shapes]) -> MultiLevelLIF:
    """The neuron whose lanes are set to a value.  An IF does not show v_init: all is folded as seen from there."""
    neurons: list[Any] = [nodes[f"{name}.fired0"], *_numbered(name, "even", nodes, 1)]
    drive: Any = nodes[f"{name}.drive"]
    rest = -neurons[0].v_leak if type(neurons[0]) is nir.LIF else 0.0
    thresholds = _compact_lanes(np.stack([node.v_threshold + rest for node in neurons]))
    return MultiLevelLIF(
        shape=shapes[name].output,
        decay=_compact(_decay(neurons[0])),
        gain=_compact(drive.scale),
        v_init=_compact(rest),
        lane_threshold=thresholds,
        lane_weight=_compact_lanes(np.cumsum([node.scale for node in _numbered(name, "send", nodes)], axis=0)),
        lane_reset=thresholds.copy(),
        v_reset=_compact(neurons[0].v_reset + rest),
        reset="value",
    )


def _decay(neuron: Any) -> Any:
    """Expanding made R of a LIF from 1/(1 - decay), as several neighbouring numbers do: the shortest of them."""
    if type(neuron) is not nir.LIF:
        return np.ones(())
    near = 1 - 1 / neuron.r
    decay = near
    for candidate in (np.nextafter(near, 0), np.nextafter(near, 1), near, np.round(near, _DIGITS)):
        decay = np.where(1 / (1 - candidate) == neuron.r, candidate, decay)
    return decay


def _step(name: str, node: MultiLevelLIF, nodes: Nodes) -> float:
    """The dt that a LIF was expanded for: tau is dt/(1 - decay)."""
    neuron: Any = nodes.get(f"{name}.fired0")
    if type(neuron) is not nir.LIF:
        return 1.0
    share = np.broadcast_to(1 - node.decay, neuron.tau.shape)
    found = float((neuron.tau * share).flat[0])
    exact = [dt for dt in (found, float(f"{found:.{_DIGITS}g}")) if np.array_equal(dt / share, neuron.tau)]
    return exact[0] if exact else found


def _compact(values: Any) -> Any:
    """One number where all are equal."""
    array = np.asarray(values)
    return np.array(array.flat[0]) if (array == array.flat[0]).all() else array


def _compact_lanes(values: Any) -> Any:
    """One number a lane where all neurons share it."""
    flat = values.reshape(len(values), -1)
    return flat[:, 0].copy() if (flat == flat[:, :1]).all() else values


def _start(name: str, nodes: Nodes, decay: Any) -> Any:
    start: Any = nodes.get(f"{name}.start")
    if start is None:
        return np.zeros(())
    return np.divide(start.scale, decay, out=np.zeros_like(start.scale), where=np.asarray(decay) != 0)


def _read_pool(name: str, nodes: Nodes, edges: Edges, shapes: dict[str, Shapes]) -> tuple[nir.NIRNode, Fragment]:
    """The pool whose expansion the parts may be, and that expansion."""
    pool: Any = nodes[f"{name}.sum0"]
    node = MaxPool2d(*(np.asarray(value) for value in (pool.kernel_size, pool.stride, pool.padding)))
    lane = f"{name}.lane0"
    merged = [(source, name) for source, target in edges if target == lane]
    around = {**shapes, name: Shapes(shapes[lane].input, shapes[name].output)}
    return node, others.max_pool(name, node, FlatGraph({**nodes, name: node}, tuple(merged)), around)


def _is_whole(fragment: Fragment, nodes: Nodes, edges: Edges) -> bool:
    """Whether the graph holds exactly this fragment, entered and left where a node would be."""
    parts = {name: nodes[name] for name in fragment.nodes if name in nodes}
    if parts.keys() != fragment.nodes.keys():
        return False
    alone = [nir.NIRGraph(dict(sorted(part.items())), [], type_check=False) for part in (parts, fragment.nodes)]
    inside = [edge for edge in edges if edge[0] in parts and edge[1] in parts]
    loops = [(source, target) for source, target in inside if source == fragment.name]
    inside = [edge for edge in inside if edge not in loops]
    entering = {entry: sorted(s for s, t in edges if t == entry and (s, t) not in inside) for entry in parts}
    fed = {target for target, sources in entering.items() if sources}
    leaving = {source for source, target in edges if source in parts and target not in parts}
    sources = [entering[entry] for entry in fragment.entries]
    return (
        graphs_equal(*alone)
        and sorted(inside) == sorted(fragment.edges)
        and fed == set(fragment.entries)
        and all(found == sources[0] for found in sources)
        and leaving <= {fragment.name}
    )


def _folded(fragment: Fragment, node: nir.NIRNode, nodes: Nodes, edges: Edges) -> tuple[Nodes, Edges]:
    name, (first, *rest) = fragment.name, fragment.entries
    outside = [edge for edge in edges if edge not in fragment.edges and edge[1] not in rest]
    kept = {other: node for other, node in nodes.items() if other not in fragment.nodes or other == name}
    return {**kept, name: node}, [(source, name if target == first else target) for source, target in outside]
