"""Max pooling behind phase-coded neurons becomes "the train whose spikes come first wins"."""

from __future__ import annotations

from nirbridge.ir import FlatGraph, MaxPool2d, PhaseIF, moves_values, once
from nirbridge.primitives import FirstSpikePool2d


@once
def resolve_phase_pooling(flat: FlatGraph) -> FlatGraph:
    """Replaces every ``MaxPool2d`` that a ``PhaseIF`` feeds.

    1. MaxPool2d straight behind a PhaseIF.
    2. MaxPool2d behind another such pool.
    3. Either, with nodes between that only move spikes, as Flatten, and Place where trains lie side by side.
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
        elif code is not None and moves_values(node):
            phases[name] = code
    return flat.with_nodes(nodes)
