"""One step of any neuron in precision "fixed", in torch: the definition of what the compiled pass does."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nirbridge.primitives.integers import STATE_LIMIT
from nirbridge_norse.neurons.lanes import LaneParameters, fired


class FixedState(NamedTuple):
    """Whole numbers in float64, [B, *features].

    Attributes:
        v: membrane.
        i: current of the synapse; an empty tensor where there is none.
    """

    v: Tensor
    i: Tensor


def fixed_step(x: Tensor, state: FixedState, p: LaneParameters) -> tuple[Tensor, FixedState]:
    """i = clip(tz(i k_syn) + x), v = clip(tz(v k) + gain i), then lanes; without a synapse i is x."""
    current = state.i
    if p.decay_current is not None:
        x = current = _clip(torch.trunc(state.i * p.decay_current) + x)
    u = _clip(torch.trunc(state.v * p.decay) + p.gain * x)
    y, v = (u, u) if p.lanes is None else fired(u, p)
    return y, FixedState(_clip(v), current)


def _clip(state: Tensor) -> Tensor:
    return state.clamp(-STATE_LIMIT, STATE_LIMIT)
