"""Neurons that leak and reset to 0: constants and a first impulse stand for v_leak and v_reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
import numpy as np

from nirbridge.expanding.fragment import Array, above, full, scale
from nirbridge.expanding.lowering.wiring import with_node, with_node_before, with_parts
from nirbridge.ir import FlatGraph, infer_shapes

_ALWAYS = -0.5
"""A threshold that 0 lies above: a spike at every step."""


def around_zero(flat: FlatGraph, dt: float) -> FlatGraph:
    r"""IF and LIF as seen from v_reset, so that a spike sets them to 0; LI and I with a v_leak of 0.

    With :math:`u = v - v_{reset}` and :math:`a = dt/\tau`,

    .. math::
        u \leftarrow (1 - a) u + a (v_{leak} - v_{reset}) + a R x, \quad u[-1] = -v_{reset}

    1. A constant is a Scale behind a Threshold of -1/2 that gets 0·x.
    2. What is left of the start at the first step, :math:`-(1 - a) v_{reset}`, is the difference of that constant and
       of another one that a cycle brings a step late.
    """
    shapes, _ = infer_shapes(flat)
    for name, node in tuple(flat.nodes.items()):
        found = _shift(node, shapes[name].input, dt)
        if found is not None and flat.forward_sources(name):
            flat = _shifted(flat, name, found)
    return flat


@dataclass(frozen=True)
class _Shift:
    """A neuron around 0 that adds its input whole, and what that is: gain·x, always, and once besides."""

    neuron: nir.NIRNode
    gain: Array
    always: Array
    first: Array


def _shift(node: Any, shape: tuple[int, ...], dt: float) -> _Shift | None:
    if type(node) not in (nir.IF, nir.LIF, nir.LI):
        return None
    reset, leak = (full(getattr(node, field, 0), shape) for field in ("v_reset", "v_leak"))
    if not (reset.any() or leak.any()):
        return None
    if type(node) is nir.IF:
        made = nir.IF(np.ones(shape), full(node.v_threshold, shape) - reset, 0 * reset)
        return _Shift(made, full(node.r, shape), 0 * reset, -reset)
    tau = full(node.tau, shape)
    share = dt / tau
    gain = share * full(node.r, shape)
    if type(node) is nir.LI:
        return _Shift(nir.LI(tau, 1 / share, 0 * leak), gain, share * leak, 0 * leak)
    made = nir.LIF(tau, 1 / share, 0 * leak, full(node.v_threshold, shape) - reset, 0 * reset)
    return _Shift(made, gain, share * (leak - reset), -(1 - share) * reset)


def _shifted(flat: FlatGraph, name: str, found: _Shift) -> FlatGraph:
    shape, source = found.gain.shape, flat.forward_sources(name)[0]
    flat = with_node_before(with_node(flat, name, found.neuron), name, "whole", nir.Scale(found.gain))
    nothing, one = f"{name}/nothing", f"{name}/one"
    nodes: dict[str, nir.NIRNode] = {nothing: scale(0.0, shape), one: above(_ALWAYS, shape)}
    edges = [(source, nothing), (nothing, one)]
    if found.always.any():
        constant = f"{name}/constant"
        nodes[constant] = nir.Scale(found.always)
        edges += [(one, constant), (constant, name)]
    if found.first.any():
        once, silent, again, minus, start = (f"{name}/{part}" for part in ("once", "silent", "again", "minus", "start"))
        nodes |= {once: scale(1.0, shape), silent: scale(0.0, shape), again: above(_ALWAYS, shape)}
        nodes |= {minus: scale(-1.0, shape), start: nir.Scale(found.first)}
        edges += [(one, once), (once, start), (start, name)]
        edges += [(once, silent), (silent, again), (again, minus), (minus, once)]
    return with_parts(flat, nodes, edges)
