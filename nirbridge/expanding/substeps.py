"""A multi-level step as N binary steps: uniform neurons become IF neurons with soft reset."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from nirbridge.errors import GraphError, Problem, UnsupportedError
from nirbridge.expanding.fragment import full, is_throughout
from nirbridge.expanding.others import keeps_constants
from nirbridge.ir import (
    FlatGraph,
    MultiLevelLIF,
    Shapes,
    TemporalMix,
    is_input,
    label,
    spec_of,
)
from nirbridge.ir.topology import reached

_LINEAR = ("matrix", "convolution", "scale", "sum pool", "mean pool", "flatten", "identity", "aggregate", "place")
"""Operations of primitives."""


def substeps_of(flat: FlatGraph) -> int:
    """N, the sub-steps that every step becomes: the levels of the neurons."""
    return next((node.lanes for node in flat.nodes.values() if type(node) is MultiLevelLIF), 1)


def repeat_substeps(x: NDArray[Any], count: int) -> NDArray[Any]:
    """[T, ...] → [T·count, ...]: every step ``count`` times; the expanded graph divides by ``count`` itself."""
    return np.repeat(np.asarray(x), count, axis=0)


def join_substeps(y: NDArray[Any], count: int) -> NDArray[Any]:
    """[T·count, ...] → [T, ...]: the sum over the ``count`` sub-steps of each step."""
    array = np.asarray(y)
    return array.reshape(-1, count, *array.shape[1:]).sum(axis=1)


def as_substeps(flat: FlatGraph, shapes: dict[str, Shapes], approximate: bool) -> tuple[FlatGraph, list[Problem]]:
    r"""Uniform neurons with N levels of step q → IF neurons; inputs and biases are divided by N.

    Source: Castagnetti, Pegatoquet and Miramond, 2025; Hao et al., NeurIPS 2024: N levels in one step are N
    steps of x/N through a binary IF with the same threshold, while its membrane starts within [0, q).  NIR's IF
    fires above its threshold and not at it: the threshold is the single-precision number below q and v_reset just as
    far below 0, so that a soft reset takes off q.

    A TemporalMix with rows of one sum passes an input on that is constant over each of its windows.

    Raises:
        UnsupportedError: a neuron is not uniform, levels differ in number, a node is not linear, or, without
            ``approximate``, a neuron stands behind another, whose spikes are not constant over the sub-steps.
        GraphError: a node has the name that a part of another one needs.
    """
    names = [name for name, node in flat.nodes.items() if type(node) is MultiLevelLIF]
    counts = {flat.nodes[name].lanes for name in names}
    problems = [problem for name, node in flat.nodes.items() if (problem := _unfit(name, node, counts, flat))]
    behind = [name for name in names if spikes_before(name, flat)]
    notes = [
        Problem(
            label(name, flat.nodes[name]),
            "its input comes from other neurons and is not constant over the sub-steps",
            "Expand it exactly for any steps" if not approximate else "Compare it with the original",
            "is_exact",
            "warning" if approximate else "error",
        )
        for name in behind
    ]
    if problems or (notes and not approximate):
        raise UnsupportedError.from_problems([*problems, *(notes if not approximate else [])])
    return (_divided(flat, shapes, counts.pop()) if counts else flat), notes


def _unfit(name: str, node: nir.NIRNode, counts: set[int], flat: FlatGraph) -> Problem | None:
    found = ""
    if type(node) is MultiLevelLIF:
        found = _not_uniform(node) or (f"levels differ between neurons: {sorted(counts)}" if len(counts) > 1 else "")
    elif type(node) is TemporalMix:
        if not keeps_constants(node) or spikes_before(name, flat):
            found = "mixes steps of an input that it does not leave constant"
    elif spec_of(node).operation not in _LINEAR and not is_input(node):
        found = "is not linear, so its sub-steps do not add up"
    return (
        Problem(label(name, node), found, "Expand it exactly for any steps", "has_core_counterpart") if found else None
    )


def _not_uniform(node: MultiLevelLIF) -> str:
    """Why N binary steps would not do, empty where they do."""
    threshold, weight = (np.asarray(v, dtype=np.float64) for v in (node.lane_threshold, node.lane_weight))
    numbers = np.arange(1, node.lanes + 1)

    def even(field: Any) -> bool:
        return bool(np.allclose(field, numbers.reshape(-1, *(1,) * (field.ndim - 1)) * field[:1], rtol=1e-6))

    if not (even(threshold) and even(weight) and np.array_equal(threshold, np.asarray(node.lane_reset))):
        return "its levels are not uniform"
    if node.reset != "subtract" or node.boundary != ">=" or not is_throughout(node.decay, 1):
        return "sub-steps need reset 'subtract', boundary '>=' and decay 1"
    start = np.asarray(node.v_init)
    return "" if ((start >= 0) & (start < threshold[0])).all() else "v_init is not within [0, q)"


def spikes_before(name: str, flat: FlatGraph) -> bool:
    """Whether spikes of a multi-level neuron reach the node, which change from sub-step to sub-step."""
    before = reached(flat.sources(name), flat.sources)
    return any(type(flat.nodes[source]) is MultiLevelLIF for source in before)


def _divided(flat: FlatGraph, shapes: dict[str, Shapes], count: int) -> FlatGraph:
    nodes: dict[str, nir.NIRNode] = {}
    edges = list(flat.edges)
    for name, node in flat.nodes.items():
        shape = shapes[name].output
        nodes[name] = node
        if hasattr(node, "bias"):
            nodes[name] = copy(node)
            nodes[name].bias = np.asarray(node.bias) / count
        elif is_input(node):
            share = _part(flat, name, "share")
            nodes[share] = nir.Scale(np.full(shape, 1 / count))
            edges = [(share if source == name else source, target) for source, target in edges] + [(name, share)]
        elif type(node) is MultiLevelLIF:
            spikes = _part(flat, name, "spikes")
            nodes[spikes] = _binary(node)
            nodes[name] = nir.Scale(full(node.lane_weight[0], shape))
            edges = [(source, spikes if target == name else target) for source, target in edges] + [(spikes, name)]
    return replace(flat, nodes=nodes, edges=tuple(edges))


def _part(flat: FlatGraph, name: str, part: str) -> str:
    """The name of a new node beside another one.

    Raises:
        GraphError: the graph has a node of that name.
    """
    if (new := f"{name}.{part}") in flat.nodes:
        raise GraphError(f"node '{new}'", f"its name is needed for a part of '{name}'", "Rename it")
    return new


def _binary(node: MultiLevelLIF) -> nir.IF:
    """An IF that starts at v_init: shifted by it, since NIR's membranes start at 0."""
    q, rest = full(node.lane_threshold[0], node.shape), full(node.v_init, node.shape)
    limit = np.nextafter(q.astype(np.float32) - rest.astype(np.float32), np.float32(-np.inf)).astype(np.float64)
    return nir.IF(full(node.gain, node.shape), limit, limit - q)
