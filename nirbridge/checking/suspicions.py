"""Warnings about values that are legal and hardly meant."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.checking.by_node import Said, by_node
from nirbridge.checking.parameters import number_fields
from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, infer_shapes, label, spec_of
from nirbridge.ir.stated_shapes import contradicts
from nirbridge.ir.topology import reached
from nirbridge.primitives.magnitudes import magnitude

LONGEST_SECONDS = 1.0
"""Time constants and delays of neurons are milliseconds; from here on a file more likely counts in ms or in steps."""
LARGEST_MAGNITUDE = 1e30
"""Sums of 10^8 products of 1 stay finite in 32 bits up to here."""
_PER_SECOND = 1000.0
"""Steps in a second: from here on a factor more likely counts in seconds than in steps."""


def stated_shapes_match(flat: FlatGraph) -> list[Problem]:
    """What a node states of shapes is what arrives; a slip of an exporter, or of NIR's own inference, is not used."""
    shapes, _ = infer_shapes(flat)
    return [
        Problem(label(name, flat.nodes[name]), found, "The latter is used")
        for name, shape in shapes.items()
        if (found := contradicts(flat.nodes[name], shape.input))
    ]


def cycles_are_fed(flat: FlatGraph) -> list[Problem]:
    """Data reach every cycle; one that they do not reach runs on its biases and start values alone."""
    fed = reached(flat.inputs, flat.targets)
    alone: dict[int, list[str]] = {}
    for name, loop in flat.topology.loop.items():
        if name not in fed:
            alone.setdefault(loop, []).append(name)
    return [
        Problem(
            label(first, flat.nodes[first]),
            f"no data reach its cycle of {1 + len(rest)} nodes: it runs on biases and start values alone",
            "If this is not meant, connect it to an Input",
        )
        for first, *rest in alone.values()
    ]


def cycles_close_at_one_edge(flat: FlatGraph) -> list[Problem]:
    """Which edges bring the value of the step before follows from what leads where, whatever the order of edges.

    So it does where all ways of the data to the sender of such an edge lead through its target; or a node that lets
    nothing through, as ``export`` writes, leads into that target, to say that the cycle begins there.
    """
    problems = []
    for name, senders in flat.incoming.items():
        late = [source.name for source in senders if source.delayed]
        if not late or any(_zero_factors(flat.nodes[source.name]) for source in senders if not source.delayed):
            continue
        past = reached(flat.inputs, lambda n, name=name: [t for t in flat.targets(n) if t != name])  # type: ignore[misc]
        problems += [
            Problem(
                label(name, flat.nodes[name]),
                f"the edge from '{sender}' closes its cycle by the order of edges alone: data reach '{sender}' past it",
                "List first the edge by which data shall enter the cycle",
            )
            for sender in late
            if sender in past
        ]
    return problems


def _seconds(node: nir.NIRNode) -> tuple[str, ...]:
    """Its fields in seconds."""
    spec = spec_of(node)
    return (*spec.time_constants, *spec.checks.seconds)


@by_node
def magnitudes_leave_room(node: nir.NIRNode) -> Said:
    """Parameters lie far within the range of 32-bit floats, in which most platforms compute their sums."""
    for field, array in number_fields(node):
        if array.dtype.kind != "f" or field in _seconds(node):
            continue
        if (largest := magnitude(array)) > LARGEST_MAGNITUDE:
            found = f"{field} holds {largest:g}, so sums may leave the range of 32-bit floats, which ends at 3.4e38"
            yield found, "Scale the weights and thresholds down"


@by_node
def times_look_like_seconds(node: nir.NIRNode) -> Said:
    """Time constants and delays are below 1 s: NIR counts in seconds, not in milliseconds or steps."""
    for field in _seconds(node):
        largest = float(np.max(getattr(node, field)))
        if largest >= LONGEST_SECONDS:
            found = f"{field} is {largest:g} s; is it meant as {largest:g} ms, or as steps?"
            yield found, "NIR counts in seconds: 20 ms is 0.02"


@by_node
def resistances_count_steps(node: Any) -> Said:
    """``I`` and ``IF`` add R x at every step; an R of 1/dt is meant for dt R x, as spikingjelly's exporter writes."""
    if type(node) in (nir.I, nir.IF):
        least, goal = float(np.min(np.abs(node.r))), float(np.max(np.abs(getattr(node, "v_threshold", 1.0))))
        if least >= _PER_SECOND and least > 100 * goal:
            found = f"r is {least:g}, so an input of 1 adds {least:g} at every step; is it meant per second?"
            yield found, "NIR files mostly count steps here: multiply r by dt"


@by_node
def resets_lie_below_thresholds(node: Any) -> Said:
    """A reset brings the membrane under the threshold, else a neuron never stops firing."""
    if spec_of(node).resets:
        above = np.asarray(node.v_reset) > np.asarray(node.v_threshold)
        if above.any():
            found = f"v_reset lies above v_threshold in {int(above.sum())} of {above.size} neurons"
            yield found, "Exchange them, or lower v_reset"


def inputs_count(flat: FlatGraph) -> list[Problem]:
    """No factor on a node's input is 0 throughout: nothing that enters would come through."""
    return [
        Problem(label(name, node), f"{field} is 0 throughout, so its input has no effect", "Load the trained weights")
        for name, node in flat.nodes.items()
        for field in _zero_factors(node)
        if not _opens_a_cycle(flat, name) and not _fires_alone(node)
    ]


def _zero_factors(node: nir.NIRNode) -> list[str]:
    """Its factors on what enters that are 0 throughout."""
    return [field for field in spec_of(node).checks.factors if np.size(v := getattr(node, field)) and not np.any(v)]


def _opens_a_cycle(flat: FlatGraph, name: str) -> bool:
    """Whether it leads into a cycle, of which the walk from it decides the edge that closes it, whatever it sends."""
    loop = flat.topology.loop
    return name not in loop and any(target in loop for target in flat.targets(name))


def _fires_alone(node: nir.NIRNode) -> bool:
    """An IF whose membrane starts above its threshold fires at the first step and needs no input for it."""
    return type(node) is nir.IF and bool((np.asarray(node.v_threshold) < 0).all())


@by_node
def parameters_are_used(node: nir.NIRNode) -> Said:
    """No field is set that the node's own choices leave unused."""
    unused = spec_of(node).checks.unused
    if unused is not None and (field := unused[0](node)):
        choice = unused[1]
        value = np.asarray(getattr(node, field)).ravel()[0]
        found = f"{field} is {value:g}, which {choice} {getattr(node, choice)!r} does not use"
        yield found, f"Set {field} to its default, or change {choice}"


SUSPICION_RULES = (
    stated_shapes_match,
    cycles_are_fed,
    cycles_close_at_one_edge,
    magnitudes_leave_room,
    times_look_like_seconds,
    resistances_count_steps,
    resets_lie_below_thresholds,
    inputs_count,
    parameters_are_used,
)
