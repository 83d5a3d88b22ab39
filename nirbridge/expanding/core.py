"""Extension primitives → core NIR, exact or refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.checking import find_problems
from nirbridge.errors import GraphError, Problem, UnsupportedError
from nirbridge.expanding import multilevel, others, products
from nirbridge.expanding.fragment import CannotExpandError, Fragment
from nirbridge.expanding.rounding import without_identities
from nirbridge.expanding.substeps import as_substeps, spikes_before, substeps_of
from nirbridge.ir import (
    Aggregate,
    EventInput,
    Extension,
    FlatGraph,
    MaxPool2d,
    MultiLevelLIF,
    PhaseDecode,
    PhaseEncode,
    PhaseIF,
    Place,
    Product,
    Quantize,
    Shapes,
    TemporalMix,
    build_graph,
    flatten,
    frames_of_inference,
    infer_shapes,
    label,
    mark_inference,
    spec_of,
    time_step,
)
from nirbridge.runtime import require_option, require_seconds

EXACT_FOR = ("any-steps", "one-step", "substeps")
"""Which runs the expanded graph is exact for."""


def expand_with_notes(
    graph: nir.NIRGraph,
    approximate: bool = False,
    *,
    exact_for: str = "any-steps",
    dt: float | None = None,
    keep: frozenset[type[nir.NIRNode]] = frozenset(),
) -> tuple[nir.NIRGraph, list[Problem]]:
    """As :func:`nirbridge.expand` without target, with the approximations as data instead of warnings.

    Nodes of types in ``keep`` stay as they are.
    """
    require_option("exact_for", exact_for, EXACT_FOR)
    require_seconds("dt", dt)
    flat = without_identities(flatten(graph))
    substeps = substeps_of(flat)
    problems = find_problems(flat, dt)
    if problems:
        raise GraphError.from_problems(problems)
    shapes, _ = infer_shapes(flat)
    if exact_for == "substeps":
        flat, notes = as_substeps(flat, shapes, approximate)
        shapes, _ = infer_shapes(flat)
    else:
        notes = []
    setting = _Setting(flat, shapes, exact_for, approximate, time_step(flat.nodes.values(), dt))
    fragments, refused = _fragments(setting, keep)
    if refused:
        raise UnsupportedError.from_problems(refused)
    notes += [
        Problem(
            label(f.name, flat.nodes[f.name]), f.approximation, "Compare it with the original", "is_exact", "warning"
        )
        for f in fragments.values()
        if f.approximation
    ]
    expanded = _assembled(flat, fragments, graph.metadata)
    frames = frames_of_inference(graph)
    if frames is not None and exact_for == "substeps":
        mark_inference(expanded, frames * substeps)
    return expanded, notes


def state_shapes(graph: nir.NIRGraph) -> nir.NIRGraph:
    """The graph with every shape written down that NIR's own reader asks for and nirbridge infers."""
    shapes, _ = infer_shapes(flatten(graph))
    nodes = {name: _stated(node, shapes[name]) for name, node in graph.nodes.items()}
    return build_graph(nodes, graph.edges, graph.metadata)


def _stated(node: nir.NIRNode, shapes: Shapes) -> nir.NIRNode:
    if type(node) is nir.Output:
        return nir.Output(np.array(shapes.output))
    stated = copy(node)
    fields = spec_of(node).parameters
    if len({np.shape(getattr(node, name)) for name in fields}) > 1:  # NIR's reader wants parameters of one shape
        for name in fields:
            setattr(stated, name, np.broadcast_to(getattr(node, name), shapes.input).copy())
    if type(node) is nir.Flatten:
        stated.input_type = {"input": np.array(shapes.input)}
        stated.output_type = {"output": np.array(shapes.output)}
    if type(node) in (nir.Conv1d, nir.Conv2d):
        spatial = shapes.input[1:]
        stated.input_shape = spatial[0] if type(node) is nir.Conv1d else spatial
    return stated


def _fragments(setting: _Setting, keep: frozenset[type[nir.NIRNode]]) -> tuple[dict[str, Fragment], list[Problem]]:
    fragments: dict[str, Fragment] = {}
    refused: list[Problem] = []
    for name, node in setting.flat.nodes.items():
        if not isinstance(node, Extension) or type(node) in keep:
            continue
        try:
            fragments[name] = _EXPANSIONS.get(type(node), _refused)(name, node, setting)
        except CannotExpandError as error:
            refused.append(Problem(label(name, node), error.found, error.next_step, "has_core_counterpart"))
    return fragments, refused


@dataclass(frozen=True)
class _Setting:
    """What the expansion of a node may depend on beside the node."""

    flat: FlatGraph
    shapes: dict[str, Shapes]
    exact_for: str
    approximate: bool
    dt: float


def _multi_level(name: str, node: MultiLevelLIF, at: _Setting) -> Fragment:
    if at.exact_for == "one-step":
        return multilevel.single_step(name, node)
    return multilevel.every_step(name, node, at.dt, at.approximate)


def _temporal_mix(name: str, node: TemporalMix, at: _Setting) -> Fragment:
    held = at.exact_for == "substeps" and not spikes_before(name, at.flat)
    fragment = others.temporal_mix(name, node, at.shapes[name], held or at.approximate)
    if not held and not others.mixes_nothing(node):
        fragment.approximation = "takes the input of each step for the whole window's"
    return fragment


_NO_COUNTERPART: dict[type[nir.NIRNode], tuple[str, str]] = {
    Quantize: (
        "rounds and cuts its input, which no core node does",
        "Quantize the graph with --input integers, and give it integers",
    ),
    PhaseIF: (
        "restarts its membrane and changes its threshold within every window of {} steps, which no core node does",
        "Run it with nirbridge",
    ),
    PhaseEncode: ("makes {} steps of one, and no core node changes the number of steps", "Run it with nirbridge"),
    PhaseDecode: ("adds up anew within every window of {} steps, which no core node does", "Run it with nirbridge"),
}


def _refused(name: str, node: nir.NIRNode, at: _Setting) -> Fragment:
    unknown = f"nirbridge knows no core counterpart of {type(node).__name__}", "Run it on a runtime that knows it"
    found, next_step = _NO_COUNTERPART.get(type(node), unknown)
    raise CannotExpandError(found.format(getattr(node, "phases", "")), next_step)


_EXPANSIONS: dict[type[nir.NIRNode], Callable[[str, Any, _Setting], Fragment]] = {
    MultiLevelLIF: _multi_level,
    EventInput: lambda name, node, at: others.event_input(name, node),
    Aggregate: lambda name, node, at: others.aggregate(name, node, at.shapes[name]),
    TemporalMix: _temporal_mix,
    MaxPool2d: lambda name, node, at: others.max_pool(name, node, at.flat, at.shapes),
    Place: lambda name, node, at: products.place(name, node),
    Product: lambda name, node, at: products.product(name, node, at.flat),
}


def _assembled(flat: FlatGraph, fragments: dict[str, Fragment], metadata: Mapping[str, Any]) -> nir.NIRGraph:
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    for name, node in flat.nodes.items():
        if name not in fragments:
            nodes[name] = node
            continue
        taken = sorted(set(fragments[name].nodes) & (set(flat.nodes) - {name}))
        if taken:
            raise GraphError(f"node '{taken[0]}'", f"its name is needed for a part of '{name}'", "Rename it")
        nodes |= fragments[name].nodes
        edges += fragments[name].edges
    for source, target in flat.edges:
        entries = fragments[target].entries if target in fragments else [target]
        edges += [(source, entry) for entry in entries]
    return state_shapes(build_graph(nodes, edges, metadata))
