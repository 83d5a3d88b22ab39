"""What a node is to an energy model: its Spec's cost, unless it stands for code that only moves values."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.errors import UnsupportedError
from nirbridge.ir import Shape, find_spec, moves_values, only_moves
from nirbridge.primitives.spec import Array, Cost, Synapses, transparent
from nirbridge.runtime import PlannedNode

BOUNDARY, SYNAPSES, SPIKING, ANALOG_STATE, MIXING, PRODUCT, TRANSPARENT = (
    "boundary",
    "synapses",
    "spiking neuron",
    "analog neuron",
    "mixing over time",
    "product",
    "transparent",
)
NEURONS = (SPIKING, ANALOG_STATE)


def cost_of(planned: PlannedNode) -> Cost:
    """What a node costs: as its type, or nothing for synapses that stand for code that only moves values.

    Raises:
        UnsupportedError: no energy model has a rule for the type.
    """
    spec = find_spec(type(planned.node))
    if spec is None:
        found = f"no energy model has a rule for the type {type(planned.node).__name__}"
        raise UnsupportedError(str(planned), found, "Replace the node, or register its Spec")
    moves = spec.cost.role == SYNAPSES and only_moves(planned.node) and moves_values(planned.node)
    return _MOVED if moves else spec.cost


def _moved_unit(node: Any, unit: Array, shape: Shape) -> Array:
    """The smallest of the channels, or columns, that each of the result takes; infinite where it takes none."""
    weight = np.asarray(node.weight)
    groups = int(getattr(node, "groups", 1))
    taken = weight.reshape(*weight.shape[:2], -1).any(axis=2)
    matrix = weight.ndim == 2
    by_source = unit.reshape(-1, unit.shape[-1]).min(axis=0) if matrix else unit.reshape(len(unit), -1).min(axis=1)
    own = np.repeat(by_source.reshape(groups, -1), len(weight) // groups, axis=0)
    least = np.where(taken, own, np.inf).min(axis=1)
    return np.broadcast_to(least if matrix else least.reshape(-1, *(1,) * (len(shape) - 1)), shape)


_MOVED = transparent("part of the address of an event", _moved_unit)


def role_of(planned: PlannedNode) -> str:
    """The role of exactly this type.

    Raises:
        UnsupportedError: no energy model has a rule for the type.
    """
    return cost_of(planned).role


def synapses_of(planned: PlannedNode) -> Synapses | None:
    """How many synapses a layer has, and how many of them an event meets; None for a node that is none."""
    rule = cost_of(planned).synapses
    return None if rule is None else rule(planned.node, planned.input_shape, planned.output_shape)
