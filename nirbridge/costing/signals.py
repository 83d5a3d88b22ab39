"""Whether a node sends events or analog values, and the value that one event of level 1 has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np

from nirbridge.costing.roles import PRODUCT, SPIKING, TRANSPARENT, role_of
from nirbridge.ir import INPUTS, EventInput, MaxPool2d, MultiLevelLIF, Place, Product, Quantize
from nirbridge.ir.shapes import pairs
from nirbridge.passes.resolve_phase_pooling import FirstSpikePool2d
from nirbridge.runtime import Array, Plan, PlannedNode

Unit = Array
"""The value of level 1, for each neuron of the sender."""


def units_of(plan: Plan, input_kind: str | None) -> dict[str, Unit | None]:
    """For each node the value of one level of its events; ``None`` where it sends analog values.

    Inputs are events where ``input_kind`` says so, or, where it is ``None``, where they are an EventInput.  Pooling,
    Flatten, Scale and Delay send what they get, a Product the product of its units.  Levels are counted against the
    lowest lane: 1, 2, 4 of a one-hot neuron are levels 1, 2, 4, and so are q, 2q, 4q of a uniform one.
    """
    units = {p.name: _sent(p, input_kind) for p in plan.nodes if role_of(p) not in (TRANSPARENT, PRODUCT)}
    waiting = [planned for planned in plan.nodes if planned.name not in units]
    while waiting:
        # An edge that closes a cycle may bring values of a later node; what only waits for itself waits for nothing.
        ready = [p for p in waiting if all(source.name in units for source in p.sources)] or waiting[:1]
        for planned in ready:
            units[planned.name] = _passed(planned, [units.get(source.name) for source in planned.sources])
        waiting = [planned for planned in waiting if planned.name not in units]
    return units


def _sent(planned: PlannedNode, input_kind: str | None) -> Unit | None:
    """What a node sends that does not pass on what it gets."""
    kind = type(planned.node)
    if kind in INPUTS:
        events = kind is EventInput if input_kind is None else input_kind == "events"
        return np.ones(planned.output_shape) if events else None
    if kind is MultiLevelLIF:
        return _lowest_lane(planned.node)
    return np.ones(planned.output_shape) if role_of(planned) == SPIKING else None


def _passed(planned: PlannedNode, arriving: list[Unit | None]) -> Unit | None:
    """Events of the smallest unit that arrives; analog values as soon as one sender is analog."""
    units = [unit for unit in arriving if unit is not None]
    if not units or len(units) < len(arriving):
        return None
    return _PASSING[type(planned.node)](planned, np.minimum.reduce(units))


def _lowest_lane(node: MultiLevelLIF) -> Unit:
    weights = np.abs(np.asarray(node.lane_weight, dtype=np.float64))
    lowest = np.where(weights > 0, weights, np.inf).min(axis=0)
    return np.broadcast_to(np.where(np.isfinite(lowest), lowest, 1.0), node.shape)


def _pooled(planned: PlannedNode, unit: Unit) -> Unit:
    """The smallest of each channel; lanes differ between channels at most."""
    return np.broadcast_to(unit.min(axis=(1, 2), keepdims=True), planned.output_shape)


def _averaged(planned: PlannedNode, unit: Unit) -> Unit:
    return _pooled(planned, unit) / float(np.prod(pairs(planned.node.kernel_size, 2)))


def _placed(planned: PlannedNode, unit: Unit) -> Unit:
    """Outside of the slot there is nothing, which any other sender's unit undercuts."""
    wide = np.full(planned.output_shape, np.inf)
    wide[planned.node.start : planned.node.stop] = unit
    return wide


def _multiplied(planned: PlannedNode, unit: Unit) -> Unit:
    slots = np.split(np.where(np.isfinite(unit), unit, 1.0), planned.node.factors)
    return np.prod(slots, axis=0)


_PASSING: dict[type[nir.NIRNode], Callable[[PlannedNode, Unit], Any]] = {
    nir.Flatten: lambda planned, unit: unit.reshape(planned.output_shape),
    nir.Delay: lambda planned, unit: unit,
    nir.Scale: lambda planned, unit: unit * np.abs(planned.node.scale),
    nir.SumPool2d: _pooled,
    nir.AvgPool2d: _averaged,
    MaxPool2d: _pooled,
    FirstSpikePool2d: _pooled,
    Place: _placed,
    Product: _multiplied,
    Quantize: lambda planned, unit: unit / planned.node.step,
}
