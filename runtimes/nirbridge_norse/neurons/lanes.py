"""The multi-level neuron by hand: the highest of S lanes is found by halves."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from nirbridge.ir import MultiLevelLIF
from nirbridge_norse.setting import Setting


class MembraneState(NamedTuple):
    """State of a neuron with one variable.

    Attributes:
        v: membrane, [B, *features].
    """

    v: Tensor


class LaneTable(NamedTuple):
    """The lanes of S levels, stored once for each group of neurons that share them.

    Attributes:
        threshold: (S, G), ascending along axis 0.
        weight: (S + 1, G), the value that a lane sends; row 0 is "no lane" and holds 0.
        amount: (S + 1, G), what a soft reset takes; row 0 likewise.
        group: whole numbers in 0..G-1, broadcastable to the features.
    """

    threshold: Tensor
    weight: Tensor
    amount: Tensor
    group: Tensor


class LaneParameters(NamedTuple):
    """Parameters of a multi-level neuron, and in precision "fixed" of any; tensors broadcast to the features.

    Attributes:
        decay: factor per step on the membrane after reset.
        gain: factor on the input.
        v_init: membrane before the first step.
        v_reset: membrane after a spike that does not subtract.
        lanes: see :func:`lane_table`; None for a neuron that sends its membrane.
        subtract: whether a spike takes the lane's amount off, instead of setting v_reset.
        at_least: whether a lane fires at its threshold too.
        decay_current: factor per step on the current of a synapse; None for a neuron without one.
    """

    decay: Tensor
    gain: Tensor
    v_init: Tensor
    v_reset: Tensor
    lanes: Any
    subtract: bool
    at_least: bool
    decay_current: Tensor | None = None


def lane_parameters(node: MultiLevelLIF, setting: Setting) -> LaneParameters:
    """Those of a node."""
    values = {name: setting.tensor(getattr(node, name)) for name in ("decay", "gain", "v_init", "v_reset")}
    lanes = lane_table(*(setting.tensor(field) for field in (node.lane_threshold, node.lane_weight, node.lane_reset)))
    return LaneParameters(**values, lanes=lanes, subtract=node.reset == "subtract", at_least=node.boundary == ">=")


def lane_table(threshold: Tensor, weight: Tensor, amount: Tensor) -> LaneTable:
    """The table for (S, ...) lane fields whose axes after the first broadcast to the features.

    One threshold for a whole layer makes one group, one for each channel makes as many groups as channels: the table
    grows with the values given, never with the neurons.
    """
    shape = torch.broadcast_shapes(threshold.shape[1:], weight.shape[1:], amount.shape[1:])
    flat = [_aligned(field, shape).reshape(len(field), -1) for field in (threshold, weight, amount)]
    none = flat[0].new_zeros(1, flat[0].shape[1])
    group = torch.arange(flat[0].shape[1], device=threshold.device).reshape(shape)
    return LaneTable(flat[0].contiguous(), torch.cat([none, flat[1]]), torch.cat([none, flat[2]]), group)


def _aligned(field: Tensor, shape: torch.Size) -> Tensor:
    """(S, ...) → (S, *shape): the axes after the lane broadcast among themselves, from the right."""
    padding = (1,) * (len(shape) + 1 - field.ndim)
    return field.reshape(len(field), *padding, *field.shape[1:]).expand(len(field), *shape)


def lane_start(p: LaneParameters, x: Tensor) -> MembraneState:
    """v = v_init in the shape of the frame ``x``."""
    return MembraneState(torch.zeros_like(x).add_(p.v_init))


def lane_step(x: Tensor, state: MembraneState, p: LaneParameters, dt: Any = None) -> tuple[Tensor, MembraneState]:
    """u = decay v + gain x; the highest lane over its threshold fires, sends its weight and resets by its amount.

    Source: Abillama et al., IEEE Access 2025, equations 8 and 9; with uniform lanes Castagnetti, Pegatoquet and
    Miramond, 2025, and Hao et al., NeurIPS 2024.
    """
    y, v = fired(p.decay * state.v + p.gain * x, p)
    return y, MembraneState(v)


def fired(u: Tensor, p: LaneParameters) -> tuple[Tensor, Tensor]:
    """What the membrane ``u`` sends, and what is left of it."""
    place = highest_lane(u, p.lanes, p.at_least)
    y = p.lanes.weight.take(place)
    if p.subtract:
        return y, u - p.lanes.amount.take(place)
    return y, torch.where(place >= p.lanes.threshold.shape[1], p.v_reset, u)


def highest_lane(u: Tensor, lanes: LaneTable, at_least: bool) -> Tensor:
    """level·G + group for the highest level whose threshold ``u`` passes, by halves: S lanes cost log2 S rounds."""
    count, groups = lanes.threshold.shape
    above = torch.ge if at_least else torch.gt
    place = lanes.group.expand_as(u)
    half = 1 << (count.bit_length() - 1)
    while half:
        tried = place + half * groups
        threshold = lanes.threshold.take((tried - groups).clamp(max=count * groups - 1))
        passed = above(u, threshold) & (tried < (count + 1) * groups)
        place = torch.where(passed, tried, place)
        half //= 2
    return place
