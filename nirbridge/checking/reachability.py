"""Warnings about thresholds that no input can reach, by bounds on what every node can send."""

from __future__ import annotations

import numpy as np

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, infer_shapes, label, spec_of
from nirbridge.ir.inference import Shapes
from nirbridge.primitives.fields import Shape
from nirbridge.primitives.spec import Bounds


def thresholds_can_be_reached(flat: FlatGraph) -> list[Problem]:
    """No neuron has a threshold above all that its inputs can bring.

    Values from outside are unbounded, save those of an EventInput; a spiking node sends 0 or its levels.  Bounds
    follow the edges; where no rule knows better they are infinite, so that a warning is never wrong for Euler steps
    with dt <= tau.
    """
    shapes, shape_problems = infer_shapes(flat)
    if shape_problems:
        return []
    with np.errstate(all="ignore"):  # bounds may be infinite, and files hold any number
        return _unreachable(flat, shapes)


def _unreachable(flat: FlatGraph, shapes: dict[str, Shapes]) -> list[Problem]:
    bounds: dict[str, Bounds] = {}
    problems = []
    for name in flat.topology.order:
        node = flat.nodes[name]
        if name not in shapes:
            continue
        senders = flat.sources(name)
        incoming = _sum([bounds.get(sender) or _sent(flat, sender, shapes) for sender in senders], shapes[name])
        checks = spec_of(node).checks
        passed = checks.bounds
        bounds[name] = _sent(flat, name, shapes) if passed is None else passed(node, incoming, shapes[name].output)
        if checks.reaches is not None:
            lost = ~np.broadcast_to(checks.reaches(node, incoming), shapes[name].output)
            if lost.any():
                found = f"{int(lost.sum())} of {lost.size} neurons cannot reach their threshold with any input"
                problems.append(Problem(label(name, node), found, "Lower the threshold, or compare weights and units"))
    return problems


def _sum(parts: list[Bounds], shapes: Shapes) -> Bounds:
    if not parts:
        return _everywhere(-np.inf, np.inf, shapes.input)
    if len(parts) == 1:
        return parts[0]
    return Bounds(np.sum([part.low for part in parts], axis=0), np.sum([part.high for part in parts], axis=0))


def _sent(flat: FlatGraph, name: str, shapes: dict[str, Shapes]) -> Bounds:
    """What a node of this type can send whatever comes in."""
    node, shape = flat.nodes[name], shapes[name].output
    sends = spec_of(node).sends
    low, high = (-np.inf, np.inf) if sends.range is None else sends.range(node)
    return _everywhere(low, high, shape)


def _everywhere(low: float, high: float, shape: Shape) -> Bounds:
    """Views of two numbers: the bounds of millions of neurons take no memory."""
    return Bounds(*(np.broadcast_to(np.float64(end), shape) for end in (low, high)))


REACHABILITY_RULES = (thresholds_can_be_reached,)
