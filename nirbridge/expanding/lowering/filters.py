"""Filters without spikes and delays as cycles of weights, which platforms with cycles run."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, full
from nirbridge.expanding.lowering.matrices import MOST_WEIGHTS
from nirbridge.expanding.lowering.wiring import with_node, with_node_before, with_parts
from nirbridge.ir import FlatGraph, delay_steps, infer_shapes


def filters_as_cycles(flat: FlatGraph, dt: float) -> FlatGraph:
    r"""I and LI of v_leak 0 as :math:`v = decay \, v[t-1] + gain \, x`.

    With :math:`a = dt/\tau`: LI has decay 1 − a and gain a R, I has 1 and R.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        shape = shapes[name].input
        if type(node) is nir.I:
            flat = _with_filter(flat, name, np.ones(shape), full(node.r, shape))
        elif type(node) is nir.LI:
            share = dt / full(node.tau, shape)
            flat = _with_filter(flat, name, 1 - share, share * full(node.r, shape))
    return flat


def with_synapses_apart(flat: FlatGraph) -> FlatGraph:
    """CubaLI and CubaLIF as an LI for the synapse before an LI or LIF, whose v_leak and v_reset stay."""
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        if type(node) in (nir.CubaLI, nir.CubaLIF):
            shape = shapes[name].input
            synapse = nir.LI(full(node.tau_syn, shape), full(node.w_in, shape), np.zeros(shape))
            flat = with_node_before(with_node(flat, name, _membrane(node, shape)), name, "synapse", synapse)
    return flat


def delays_as_cycles(flat: FlatGraph, dt: float) -> FlatGraph:
    r"""A Delay of a row of numbers as a state that holds the last steps of it, one behind the other.

    With :math:`s = (x[t], x[t-1], ..)`, :math:`s[t] = U x[t] + S s[t-1]` where U puts x to the front and S moves all
    one place on; a third matrix takes of each number the step that it is delayed by.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        if type(node) is not nir.Delay or len(shapes[name].input) != 1:
            continue
        (count,) = shapes[name].input
        steps = np.broadcast_to(delay_steps(node.delay, dt), (count,))
        places = (int(steps.max(initial=0)) + 1) * count
        if places**2 > MOST_WEIGHTS:
            continue
        front, move = np.eye(places, count), np.eye(places, k=-count)
        taken = np.zeros((count, places))
        taken[np.arange(count), steps * count + np.arange(count)] = 1
        flat = with_node(flat, name, nir.Linear(taken))
        flat = with_node_before(flat, name, "past", nir.Scale(np.ones(places)))
        flat = with_node_before(flat, f"{name}/past", "front", nir.Linear(front))
        past, moved = f"{name}/past", f"{name}/past/moved"
        flat = with_parts(flat, {moved: nir.Linear(move)}, [(past, moved), (moved, past)])
    return flat


def _membrane(node: Any, shape: tuple[int, ...]) -> nir.NIRNode:
    kind, ends = (nir.LIF, ("v_threshold", "v_reset")) if type(node) is nir.CubaLIF else (nir.LI, ())
    return kind(*(full(getattr(node, field), shape) for field in ("tau_mem", "r", "v_leak", *ends)))


def _with_filter(flat: FlatGraph, name: str, decay: Array, gain: Array) -> FlatGraph:
    """A filter in the place of the node."""
    leak = f"{name}/filter/leak"
    flat = with_node(flat, name, nir.Scale(np.ones(gain.shape)))
    flat = with_node_before(flat, name, "filter/drive", nir.Scale(gain))
    return with_parts(flat, {leak: nir.Scale(decay)}, [(name, leak), (leak, name)])
