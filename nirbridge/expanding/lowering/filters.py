"""Filters without spikes as cycles of Scales, which every platform with cycles runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, full
from nirbridge.ir import FlatGraph, infer_shapes


def filters_as_cycles(flat: FlatGraph, dt: float) -> FlatGraph:
    r"""I, LI and CubaLI as :math:`v = decay \, v[t-1] + gain \, x`, and the synapse of a CubaLIF before its LIF.

    With :math:`a = dt/\tau`: LI has decay 1 − a and gain a R, I has 1 and R, a synapse 1 − a and a w_in.  A v_leak
    other than 0 stays where it is, and so does the node, to be refused by its name.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        filters, last = _filters(node, shapes[name].input, dt)
        if filters:
            flat = _with_filters(flat, name, filters, last)
    return flat


def _filters(node: Any, shape: tuple[int, ...], dt: float) -> tuple[list[tuple[Array, Array]], nir.NIRNode | None]:
    """(decay, gain) of each filter in a row, and the neuron that stays behind them."""
    if type(node) not in (nir.I, nir.LI, nir.CubaLI, nir.CubaLIF) or np.any(getattr(node, "v_leak", 0)):
        return [], None
    one = np.ones(shape)
    if type(node) is nir.I:
        return [(one, full(node.r, shape))], None
    if type(node) is nir.LI:
        return [_leaky(node.tau, node.r, shape, dt)], None
    synapse = _leaky(node.tau_syn, node.w_in, shape, dt)
    if type(node) is nir.CubaLI:
        return [synapse, _leaky(node.tau_mem, node.r, shape, dt)], None
    fields = (full(value, shape) for value in (node.tau_mem, node.r, node.v_leak, node.v_threshold, node.v_reset))
    return [synapse], nir.LIF(*fields)


def _leaky(tau: Any, gain: Any, shape: tuple[int, ...], dt: float) -> tuple[Array, Array]:
    share = dt / full(tau, shape)
    return 1 - share, share * full(gain, shape)


def _with_filters(
    flat: FlatGraph, name: str, filters: list[tuple[Array, Array]], last: nir.NIRNode | None
) -> FlatGraph:
    nodes = {key: node for key, node in flat.nodes.items() if key != name}
    entry = f"{name}.gain0"
    edges = [(source, entry if target == name else target) for source, target in flat.edges]
    previous = ""
    for place, (decay, gain) in enumerate(filters):
        ends = place == len(filters) - 1 and last is None
        drive, state, leak = f"{name}.gain{place}", name if ends else f"{name}.state{place}", f"{name}.leak{place}"
        nodes |= {drive: nir.Scale(gain), state: nir.Scale(np.ones(gain.shape)), leak: nir.Scale(decay)}
        edges += [*([(previous, drive)] if previous else []), (drive, state), (state, leak), (leak, state)]
        previous = state
    if last is not None:
        nodes[name] = last
        edges.append((previous, name))
    return replace(flat, nodes=nodes, edges=tuple(edges))
