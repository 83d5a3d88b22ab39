"""Max pooling behind phase-coded neurons becomes "the train whose spikes come first wins"."""

from __future__ import annotations

import nir

from nirbridge.ir import FlatGraph, MaxPool2d, PhaseIF, once
from nirbridge.primitives import FirstSpikePool2d

_TRANSPARENT = (nir.Flatten,)
"""Nodes that keep a phase code a phase code."""


@once
def resolve_phase_pooling(flat: FlatGraph) -> FlatGraph:
    """Replaces every ``MaxPool2d`` that a ``PhaseIF`` feeds.

    1. MaxPool2d straight behind a PhaseIF.
    2. MaxPool2d behind another such pool.
    3. Either, with a Flatten between.
    """
    phases: dict[str, int] = {}
    nodes = dict(flat.nodes)
    for name in flat.topology.order:
        node = nodes[name]
        before = {phases.get(source) for source in flat.sources(name)}
        code = before.pop() if len(before) == 1 else None
        if type(node) is PhaseIF:
            phases[name] = node.phases
        elif code is not None and type(node) is MaxPool2d:
            nodes[name] = FirstSpikePool2d(node.kernel_size, node.stride, node.padding, code)
            phases[name] = code
        elif code is not None and type(node) in _TRANSPARENT:
            phases[name] = code
    return flat.with_nodes(nodes)
