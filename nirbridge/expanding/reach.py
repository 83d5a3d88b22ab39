"""A graph in the form that another platform's importer really runs."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from io import BytesIO
from os import PathLike
from typing import Any

import h5py
import nir
import numpy as np

from nirbridge.errors import Problem, UnsupportedError
from nirbridge.expanding.core import expand_with_notes, state_shapes
from nirbridge.expanding.lane_code import filled
from nirbridge.expanding.lowering.filters import delays_as_cycles, filters_as_cycles, with_synapses_apart
from nirbridge.expanding.lowering.forms import in_plain_forms, pools_as_convolutions
from nirbridge.expanding.lowering.levels import neurons_by_code
from nirbridge.expanding.lowering.matrices import in_one_row
from nirbridge.expanding.lowering.names import ordered_names
from nirbridge.expanding.lowering.neurons import (
    in_its_terms,
    neuron_problems,
    with_even_neurons,
    with_one_threshold,
    without_memory,
)
from nirbridge.expanding.lowering.scales import folded, with_full_scales, with_joined_outputs, without_identities
from nirbridge.expanding.lowering.shifts import around_zero
from nirbridge.expanding.target import Lanes, Target
from nirbridge.expanding.targets import target_named
from nirbridge.files import whole_file
from nirbridge.ir import FlatGraph, MultiLevelLIF, build_graph, flatten, infer_shapes, label, spec_of, time_step, write


@dataclass(frozen=True)
class Reached:
    """What a platform gets.

    Attributes:
        target: the platform.
        graph: the graph as its importer takes it; parameters in single precision.
        lanes: for neurons whose levels the code states: by name.
        notes: what is approximate.
        one_row: whether its data are [T, B, n], flattened, in and out.
    """

    target: Target
    graph: nir.NIRGraph
    lanes: dict[str, Lanes]
    notes: list[Problem]
    one_row: bool = False

    def code(self, path: str) -> str:
        """The program that runs the file with the platform."""
        flat = flatten(self.graph)
        joins = any(len(flat.sources(name)) > 1 for name in flat.nodes)
        return filled(self.target.code, path, self.lanes, joins=joins, one_row=self.one_row)


def reach(graph: nir.NIRGraph, target: str, approximate: bool = False, dt: float | None = None) -> Reached:
    """Makes a graph what the platform named ``target`` runs as it is meant.

    The graph that comes out means the same by NIR's own equations, at the platform's dt.

    Args:
        graph: any graph with one Input and one Output; nested graphs are flattened.
        target: a platform; :func:`nirbridge.expanding.target_names` lists them.
        approximate: replace also what has no exact counterpart.
        dt: seconds per step of ``graph``; by default the EventInput's window, else 1e-3.

    Raises:
        UnsupportedError: what the platform does not take, all of it at once, with the reason.
        InputError: the platform is unknown.
    """
    platform = target_named(target)
    if platform.refused:
        raise UnsupportedError(f"target '{target}'", platform.refused, "Use another platform of docs/reach.md")
    _require_none(_level_problems(flatten(graph), platform))
    keep = frozenset({MultiLevelLIF}) if platform.levels_by_code else frozenset()
    core, notes = expand_with_notes(graph, approximate, dt=dt, keep=keep)
    flat, step = flatten(core), time_step(flatten(graph).nodes.values(), dt)
    _require_none(_port_problems(flat))
    lowered, lanes, one_row = _made(flat, platform, step)
    named, names = ordered_names(lowered)
    nodes = {name: _in_precision(node, platform) for name, node in named.nodes.items()}
    made = state_shapes(build_graph(nodes, list(named.edges), graph.metadata))
    return Reached(platform, made, {names[name]: found for name, found in lanes.items()}, notes, one_row)


def _made(flat: FlatGraph, target: Target, dt: float) -> tuple[FlatGraph, dict[str, Lanes], bool]:
    """The graph in its terms, the lanes that its code states, and whether data are one row of numbers.

    They are where it takes no others, and where it cannot say otherwise what differs from place to place.
    """
    if nir.Conv2d not in target.layers:
        return *_in_terms_of(target, in_one_row(flat), dt), True
    try:
        return *_in_terms_of(target, flat, dt), False
    except UnsupportedError as reason:
        try:
            return *_in_terms_of(target, in_one_row(flat), dt), True
        except UnsupportedError:
            raise reason from None


def _in_terms_of(target: Target, flat: FlatGraph, dt: float) -> tuple[FlatGraph, dict[str, Lanes]]:
    flat = with_synapses_apart(flat)
    lanes: dict[str, Lanes] = {}
    if target.levels_by_code:
        flat, lanes = neurons_by_code(flat, target, dt)
    else:
        if target.cycles:
            flat = delays_as_cycles(filters_as_cycles(around_zero(flat, dt), dt), dt)
        flat = with_even_neurons(with_one_threshold(flat, target), target)
        _require_none(neuron_problems(flat, target, dt))
    lowered = _lowered(flat, target, dt)
    _require_none(_type_problems(lowered, target))
    return lowered, lanes


def _require_none(problems: list[Problem]) -> None:
    if problems:
        raise UnsupportedError.from_problems(problems)


def _lowered(flat: FlatGraph, target: Target, dt: float) -> FlatGraph:
    """1. neurons in its terms, 2. pools, 3. Scales out of the way, 4. what is left in plain forms."""
    if not target.levels_by_code:
        flat = without_memory(in_its_terms(flat, target, dt), target)
    flat = folded(without_identities(with_full_scales(pools_as_convolutions(flat))))
    shapes, _ = infer_shapes(flat)
    return in_plain_forms(with_joined_outputs(flat, shapes), target)


def _in_precision(node: nir.NIRNode, target: Target) -> nir.NIRNode:
    """The numbers of a node in the precision that the platform takes; weights may have been integers."""
    changed: Any = copy(node)
    for name, value in vars(node).items():
        if isinstance(value, np.ndarray) and (value.dtype.kind == "f" or name in ("weight", "bias")):
            setattr(changed, name, value.astype(np.float64 if target.double else np.float32))
    made: nir.NIRNode = changed
    return made


def _port_problems(flat: FlatGraph) -> list[Problem]:
    found = []
    for kind, names in (("Input", flat.inputs), ("Output", flat.outputs)):
        if len(names) != 1:
            said = f"the graph has {len(names)} {kind} nodes, importers take one"
            found.append(Problem("graph", said, "Export its parts one by one", "has_one_port"))
    return found


def _type_problems(flat: FlatGraph, target: Target) -> list[Problem]:
    problems = [
        Problem(label(name, node), _untaken(node, target), "Run it with nirbridge", "taken")
        for name, node in flat.nodes.items()
        if type(node) not in target.layers or _has_axes_in_front(node)
    ]
    if not target.cycles and flat.topology.loop:
        name = next(iter(flat.topology.loop))
        said = f"lies on a cycle, and {target.version} runs a node over all steps before the next"
        problems.append(Problem(label(name, flat.nodes[name]), said, "Run it with nirbridge", "has_no_cycle"))
    if not target.analog:
        problems += [_analog(name, flat, target) for name in flat.nodes if _sums_values(name, flat)]
    return problems


def _has_axes_in_front(node: nir.NIRNode) -> bool:
    """Whether a matrix has weights of its own for each place of leading axes, as no importer reads them."""
    return spec_of(node).operation == "matrix" and np.ndim(node.weight) > 2


def _untaken(node: nir.NIRNode, target: Target) -> str:
    if _has_axes_in_front(node):
        return f"has weights of shape {np.shape(node.weight)}, of which {target.version} takes two axes, out and in"
    if type(node) is nir.Scale:
        return f"has a number of its own for each place, which no weights that {target.version} takes can say"
    taken = ", ".join(sorted(kind.__name__ for kind in target.layers))
    return f"is none of what {target.source} of {target.version} takes: {taken}"


def _level_problems(flat: FlatGraph, target: Target) -> list[Problem]:
    """Neurons that only values other than spikes, sent round a cycle, could make up, where there are none."""
    said = f"has several lanes or a soft reset, which takes values on cycles; {target.version} sends spikes alone"
    return [
        Problem(label(name, node), said, "Run it with nirbridge", "sends_spikes")
        for name, node in flat.nodes.items()
        if not target.analog and type(node) is MultiLevelLIF and (node.lanes > 1 or node.reset != "value")
    ]


def _sums_values(name: str, flat: FlatGraph) -> bool:
    """Whether weights hang on weights, or weights are an output: values other than spikes would have to travel."""
    return spec_of(flat.nodes[name]).operation in ("matrix", "convolution") and any(
        not spec_of(flat.nodes[target]).is_neuron for target in flat.targets(name)
    )


def _analog(name: str, flat: FlatGraph, target: Target) -> Problem:
    said = f"sends values that are no spikes on, which {target.version} does not carry"
    return Problem(label(name, flat.nodes[name]), said, "Run it with nirbridge", "sends_spikes")


def write_reached(path: str | PathLike[str], reached: Reached) -> None:
    """Writes the graph; without ``v_reset`` where the platform's version of NIR knows no such field.

    It is 0 in every graph that is made for a platform, which is what a file without it means.
    """
    content = BytesIO()
    write(content, reached.graph)
    if not reached.target.writes_v_reset:
        _drop(content, "v_reset")
    with whole_file(path) as file:
        file.write(content.getvalue())


def _drop(content: BytesIO, field: str) -> None:
    with h5py.File(content, "r+") as file:
        found: list[str] = []
        file.visit(lambda name: found.append(name) if name.rpartition("/")[2] == field else None)
        for name in found:
            del file[name]
