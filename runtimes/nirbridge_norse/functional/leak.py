"""Leaky integrators by forward Euler: NIR's LI and LIF."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nirbridge_norse.functional.integrate import MembraneState, fire


class LIParameters(NamedTuple):
    """Parameters of a leaky integrator; each broadcasts to the features.

    Attributes:
        dt_over_tau: dt/tau, share of the way to rest in one step.
        v_leak: the membrane at rest.
        r: factor on the input.
    """

    dt_over_tau: Tensor
    v_leak: Tensor
    r: Tensor


class LIFParameters(NamedTuple):
    """Parameters of a leaky integrate-and-fire neuron; each broadcasts to the features.

    Attributes:
        dt_over_tau: dt/tau, share of the way to rest in one step.
        v_leak: the membrane at rest.
        r: factor on the input.
        v_threshold: the membrane above which it fires.
        v_reset: the membrane after a spike.
        amount: what a spike takes off the membrane instead; None where it sets v_reset.
    """

    dt_over_tau: Tensor
    v_leak: Tensor
    r: Tensor
    v_threshold: Tensor
    v_reset: Tensor
    amount: Tensor | None = None


def li_step(x: Tensor, state: MembraneState, p: LIParameters, dt: float = 1e-3) -> tuple[Tensor, MembraneState]:
    """v += dt/tau (v_leak - v + R x); the output is v.

    Source: NIR's LI.
    """
    v = leaked(x, state.v, p.dt_over_tau, p.v_leak, p.r)
    return v, MembraneState(v)


def lif_step(x: Tensor, state: MembraneState, p: LIFParameters, dt: float = 1e-3) -> tuple[Tensor, MembraneState]:
    """v += dt/tau (v_leak - v + R x); a spike where v > v_threshold, then v = v_reset, or v -= amount.

    Source: NIR's LIF.
    """
    spikes, v = fire(leaked(x, state.v, p.dt_over_tau, p.v_leak, p.r), p.v_threshold, p.v_reset, p.amount)
    return spikes, MembraneState(v)


def leaked(x: Tensor, v: Tensor, dt_over_tau: Tensor, v_leak: Tensor, r: Tensor) -> Tensor:
    """v + dt/tau (v_leak - v + R x)."""
    return v + dt_over_tau * (v_leak - v + r * x)
