"""One step of any neuron in precision "fixed", in torch: the definition of what the compiled pass does."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge_norse.fixed.parameters import FixedParameters
from nirbridge_norse.neurons.lanes import highest_lane


class FixedState(NamedTuple):
    """Whole numbers in float64, [B, *features].

    Attributes:
        v: membrane.
        i: current of the synapse; an empty tensor where there is none.
    """

    v: Tensor
    i: Tensor


def fixed_step(x: Tensor, state: FixedState, p: FixedParameters) -> tuple[Tensor, FixedState]:
    """i = clip(tz(i k_syn) + x), v = clip(tz(v k) + gain i), then lanes; without a synapse i is x."""
    current = state.i
    if p.keep_current is not None:
        x = current = _clip(torch.trunc(state.i * p.keep_current) + x)
    u = _clip(torch.trunc(state.v * p.keep) + p.gain * x)
    if p.lanes is None:
        return u, FixedState(u, current)
    place = highest_lane(u, p.lanes, ">=" if p.at_least else ">")
    v = u - p.lanes.amount.take(place)
    if not p.subtract:
        v = torch.where(place >= p.lanes.threshold.shape[1], p.v_reset, u)
    return p.lanes.weight.take(place), FixedState(_clip(v), current)


def _clip(state: Tensor) -> Tensor:
    return state.clamp(-STATE_LIMIT, STATE_LIMIT)
