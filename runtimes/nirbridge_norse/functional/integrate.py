"""Integrators without leak: NIR's I and IF."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class IParameters(NamedTuple):
    """Parameters of an integrator; each broadcasts to the features.

    Attributes:
        r: factor on the input.
    """

    r: Tensor


class IFParameters(NamedTuple):
    """Parameters of an integrate-and-fire neuron; each broadcasts to the features.

    Attributes:
        r: factor on the input.
        v_threshold: the membrane above which it fires.
        v_reset: the membrane after a spike.
        amount: what a spike takes off the membrane instead; None where it sets v_reset.
    """

    r: Tensor
    v_threshold: Tensor
    v_reset: Tensor
    amount: Tensor | None = None


class MembraneState(NamedTuple):
    """State of a neuron with one variable.

    Attributes:
        v: membrane, [B, *features].
    """

    v: Tensor


def integrator_step(x: Tensor, state: MembraneState, p: IParameters, dt: float = 1e-3) -> tuple[Tensor, MembraneState]:
    """v += R x, per step; the output is v.

    Source: NIR's I; it counts steps, not seconds.
    """
    v = state.v + p.r * x
    return v, MembraneState(v)


def integrate_and_fire_step(
    x: Tensor, state: MembraneState, p: IFParameters, dt: float = 1e-3
) -> tuple[Tensor, MembraneState]:
    """v += R x; a spike where v > v_threshold, then v = v_reset, or v -= amount.

    Source: NIR's IF.
    """
    spikes, v = fire(state.v + p.r * x, p.v_threshold, p.v_reset, p.amount)
    return spikes, MembraneState(v)


def fire(v: Tensor, v_threshold: Tensor, v_reset: Tensor, amount: Tensor | None) -> tuple[Tensor, Tensor]:
    """(spikes, v): 1 where v > v_threshold, and there v = v_reset, or v - amount where that is given."""
    spikes = v > v_threshold
    return spikes.to(v.dtype), torch.where(spikes, v_reset if amount is None else v - amount, v)
