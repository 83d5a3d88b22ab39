"""Reset "subtract": a spike takes an amount off the membrane, instead of setting it to v_reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import nir
import numpy as np

from nirbridge.ir import FlatGraph, MultiLevelLIF, Shape, Shapes

SYNAPSE = ".synapse"


def reset_by_subtraction(flat: FlatGraph, shapes: dict[str, Shapes], dt: float) -> FlatGraph:
    r"""Replaces IF, LIF and CubaLIF by the primitive that says how it resets: ``MultiLevelLIF`` with one lane.

    Where v > v_threshold, the neuron sends 1 and ``v -= v_threshold - v_reset``: with the usual v_reset of 0 it takes
    the threshold off, and a membrane just at the threshold comes to v_reset in either kind of reset.

    1. IF: decay 1, gain R.
    2. LIF, with a = dt/tau: :math:`v + a (v_{leak} - v + R i)` is, for :math:`w = v - v_{leak}`,
       :math:`w \leftarrow (1 - a) w + a R i`, starting at -v_leak, with threshold v_threshold - v_leak.
    3. CubaLIF: its synapse becomes an ``LI`` called ``<name>.synapse`` in front of it (tau_syn, R = w_in, v_leak = 0),
       and its membrane a LIF as in case 2; the neuron keeps its name.
    4. Everything else stays as it is.

    Args:
        flat: the graph, its parameters in double precision.
        shapes: the inferred shapes.
        dt: seconds per step.

    Source: the usual soft reset, as in snnTorch ("subtract") and sinabs (MembraneSubtract).
    """
    nodes: dict[str, nir.NIRNode] = {}
    split: dict[str, str] = {}
    for name, node in flat.nodes.items():
        if type(node) is nir.CubaLIF:
            split[name] = _free_name(name + SYNAPSE, flat)
            rest = np.zeros_like(np.asarray(node.tau_syn, dtype=np.float64))
            nodes[split[name]] = nir.LI(node.tau_syn, np.broadcast_to(node.w_in, rest.shape), rest)
        rule = _RULES.get(type(node))
        nodes[name] = node if rule is None else rule(node, shapes[name].output, dt)
    edges = [(source, split.get(target, target)) for source, target in flat.edges]
    edges += [(synapse, name) for name, synapse in split.items()]
    return replace(flat, nodes=nodes, edges=tuple(edges))


def _if(node: nir.IF, shape: Shape, dt: float) -> MultiLevelLIF:
    return _one_lane(shape, 1.0, node.r, 0, node)


def _lif(node: nir.LIF, shape: Shape, dt: float) -> MultiLevelLIF:
    return _leaky(shape, dt / np.asarray(node.tau, dtype=np.float64), node)


def _cuba_lif(node: nir.CubaLIF, shape: Shape, dt: float) -> MultiLevelLIF:
    return _leaky(shape, dt / np.asarray(node.tau_mem, dtype=np.float64), node)


_RULES: dict[type[nir.NIRNode], Callable[[Any, Shape, float], MultiLevelLIF]] = {
    nir.IF: _if,
    nir.LIF: _lif,
    nir.CubaLIF: _cuba_lif,
}


def _leaky(shape: Shape, share: Any, node: nir.LIF | nir.CubaLIF) -> MultiLevelLIF:
    return _one_lane(shape, 1.0 - share, share * node.r, node.v_leak, node)


def _one_lane(shape: Shape, decay: Any, gain: Any, v_leak: Any, node: nir.NIRNode) -> MultiLevelLIF:
    threshold, reset, rest = (_wide(value) for value in (node.v_threshold, node.v_reset, v_leak))
    return MultiLevelLIF(
        shape=shape,
        decay=decay,
        gain=gain,
        v_init=-rest,
        lane_threshold=(threshold - rest)[None],
        lane_weight=np.ones(1),
        lane_reset=(threshold - reset)[None],
        v_reset=np.zeros(()),
    )


def _wide(value: Any) -> Any:
    """Integers stay integers, but wide enough for a difference."""
    array = np.asarray(value)
    return array.astype(np.float64 if array.dtype.kind == "f" else np.int64)


def _free_name(name: str, flat: FlatGraph) -> str:
    while name in flat.nodes:
        name += "'"
    return name
