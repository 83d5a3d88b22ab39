"""Filters without spikes as cycles of Scales, which platforms with cycles run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, full
from nirbridge.ir import FlatGraph, infer_shapes


def filters_as_cycles(flat: FlatGraph, dt: float) -> FlatGraph:
    r"""I and LI of v_leak 0 as :math:`v = decay \, v[t-1] + gain \, x`.

    With :math:`a = dt/\tau`: LI has decay 1 − a and gain a R, I has 1 and R, a synapse 1 − a and a w_in.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        shape = shapes[name].input
        if type(node) is nir.I:
            flat = _with_filter(flat, name, (np.ones(shape), full(node.r, shape)), None)
        elif type(node) is nir.LI:
            flat = _with_filter(flat, name, _leaky(node.tau, node.r, shape, dt), None)
    return flat


def with_synapses_apart(flat: FlatGraph, dt: float) -> FlatGraph:
    """CubaLI and CubaLIF as a filter for the synapse before an LI or LIF, whose v_leak and v_reset stay."""
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        if type(node) in (nir.CubaLI, nir.CubaLIF):
            synapse = _leaky(node.tau_syn, node.w_in, shapes[name].input, dt)
            flat = _with_filter(flat, name, synapse, _membrane(node, shapes[name].input))
    return flat


def _membrane(node: Any, shape: tuple[int, ...]) -> nir.NIRNode:
    fields = ["tau_mem", "r", "v_leak", *(["v_threshold", "v_reset"] if type(node) is nir.CubaLIF else [])]
    values = (full(getattr(node, field), shape) for field in fields)
    return nir.LIF(*values) if type(node) is nir.CubaLIF else nir.LI(*values)


def _leaky(tau: Any, gain: Any, shape: tuple[int, ...], dt: float) -> tuple[Array, Array]:
    share = dt / full(tau, shape)
    return 1 - share, share * full(gain, shape)


def _with_filter(flat: FlatGraph, name: str, it: tuple[Array, Array], last: nir.NIRNode | None) -> FlatGraph:
    """A filter of (decay, gain) in front of ``last``, or in the place of the node."""
    decay, gain = it
    part = f"{name}/filter" if last is None else f"{name}/synapse"
    drive, leak, state = f"{part}/drive", f"{part}/leak", name if last is None else part
    nodes = {key: node for key, node in flat.nodes.items() if key != name}
    nodes |= {drive: nir.Scale(gain), state: nir.Scale(np.ones(gain.shape)), leak: nir.Scale(decay)}
    edges = [(source, drive if target == name else target) for source, target in flat.edges]
    edges += [(drive, state), (state, leak), (leak, state)]
    if last is not None:
        nodes[name] = last
        edges.append((state, name))
    return replace(flat, nodes=nodes, edges=tuple(edges))
