"""Integrators "exact" and "hold": the leak of a step is the factor exp(-dt/tau) of the differential equation."""

from __future__ import annotations

from copy import copy
from typing import Any

import nir
import numpy as np

from nirbridge.ir import FlatGraph, spec_of


def integrate_exactly(flat: FlatGraph, dt: float, impulses: bool) -> FlatGraph:
    r"""Gives every leaky neuron the parameters with which an Euler step is the exact step.

    With a = 1 - exp(-dt/tau), the solution of ``tau dv/dt = v_leak - v + R i`` over a step is

    .. math::
        v &\leftarrow v_{leak} + (v - v_{leak}) e^{-dt/\tau} + \tfrac{dt}{\tau} R i
            && \text{integrator "exact": the input arrives at once, as spikes do} \\
        v &\leftarrow v_{leak} + R i + (v - v_{leak} - R i) e^{-dt/\tau}
            && \text{integrator "hold": the input is constant over the step}

    1. LI, LIF.  The second is :math:`v + a (v_{leak} - v + R i)`: an Euler step with ``dt/a`` in the place of ``tau``.
       The first has besides ``R dt/(tau a)`` in the place of ``R``.
    2. CubaLI, CubaLIF.  Likewise for the synapse, with ``tau_syn`` and ``w_in``, and then for the membrane, with
       ``tau_mem`` and ``R``; the membrane takes the new current for its input.
    3. Everything else stays as it is: ``I`` and ``IF`` have no leak, extension primitives state their decay.

    Runtimes therefore need not know the option, and all of them compute with the same numbers.

    Args:
        flat: the graph, its parameters in double precision.
        dt: seconds per step.
        impulses: integrator "exact" rather than "hold".

    Source: "exact" is what Sinabs and Rockpool computed for the NIR paper's first task, to the last digit of their
        membranes; "hold" is its analytic solution and Nengo.
    """
    return flat.with_nodes({name: _exact(node, dt, impulses) for name, node in flat.nodes.items()})


def _exact(node: nir.NIRNode, dt: float, impulses: bool) -> nir.NIRNode:
    changed = copy(node)
    dynamics = spec_of(node).dynamics
    for constant, factor in () if dynamics is None else dynamics.leaks:
        tau = np.asarray(getattr(node, constant), dtype=np.float64)
        equivalent: Any = dt / -np.expm1(-dt / tau)
        setattr(changed, constant, equivalent)
        if impulses:
            setattr(changed, factor, getattr(node, factor) * (equivalent / tau))
    return changed
