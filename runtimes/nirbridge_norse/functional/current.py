"""Leaky integrators behind a synapse with its own time constant: NIR's CubaLI and CubaLIF."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nirbridge_norse.functional.integrate import fire
from nirbridge_norse.functional.leak import leaked


class CubaLIParameters(NamedTuple):
    """Parameters of a current-based leaky integrator; each broadcasts to the features.

    Attributes:
        dt_over_tau_syn: dt/tau_syn of the synapse.
        w_in: factor on the synapse's input.
        dt_over_tau_mem: dt/tau_mem of the membrane.
        v_leak: the membrane at rest.
        r: factor on the current.
    """

    dt_over_tau_syn: Tensor
    w_in: Tensor
    dt_over_tau_mem: Tensor
    v_leak: Tensor
    r: Tensor


class CubaLIFParameters(NamedTuple):
    """Parameters of a current-based leaky integrate-and-fire neuron; each broadcasts to the features.

    Attributes:
        dt_over_tau_syn: dt/tau_syn of the synapse.
        w_in: factor on the synapse's input.
        dt_over_tau_mem: dt/tau_mem of the membrane.
        v_leak: the membrane at rest.
        r: factor on the current.
        v_threshold: the membrane above which it fires.
        v_reset: the membrane after a spike.
        amount: what a spike takes off the membrane instead; None where it sets v_reset.
    """

    dt_over_tau_syn: Tensor
    w_in: Tensor
    dt_over_tau_mem: Tensor
    v_leak: Tensor
    r: Tensor
    v_threshold: Tensor
    v_reset: Tensor
    amount: Tensor | None = None


class CurrentState(NamedTuple):
    """State of a neuron behind a synapse.

    Attributes:
        i: current of the synapse, [B, *features].
        v: membrane, [B, *features].
    """

    i: Tensor
    v: Tensor


def cuba_li_step(x: Tensor, state: CurrentState, p: CubaLIParameters, dt: float = 1e-3) -> tuple[Tensor, CurrentState]:
    """i += dt/tau_syn (w_in x - i), then v += dt/tau_mem (v_leak - v + R i); the output is v.

    Source: NIR's CubaLI; the synapse runs first.
    """
    state = _charged(x, state, p)
    return state.v, state


def cuba_lif_step(
    x: Tensor, state: CurrentState, p: CubaLIFParameters, dt: float = 1e-3
) -> tuple[Tensor, CurrentState]:
    """As :func:`cuba_li_step`; a spike where v > v_threshold, then v = v_reset, or v -= amount.

    Source: NIR's CubaLIF.
    """
    i, v = _charged(x, state, p)
    spikes, v = fire(v, p.v_threshold, p.v_reset, p.amount)
    return spikes, CurrentState(i, v)


def _charged(x: Tensor, state: CurrentState, p: CubaLIParameters | CubaLIFParameters) -> CurrentState:
    i = state.i + p.dt_over_tau_syn * (p.w_in * x - state.i)
    return CurrentState(i, leaked(i, state.v, p.dt_over_tau_mem, p.v_leak, p.r))
