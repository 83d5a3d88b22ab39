"""Max pooling behind phase-coded neurons becomes "the train whose spikes come first wins"."""

from __future__ import annotations

from itertools import pairwise

import nir

from nirbridge.errors import Problem
from nirbridge.ir import FlatGraph, MaxPool2d, PhaseIF, Place, label, moves_values, once
from nirbridge.primitives import FirstSpikePool2d

_SUM = 0
"""In place of the phases of a train: several add up, or a train and something else."""


@once
def resolve_phase_pooling(flat: FlatGraph) -> tuple[FlatGraph, list[Problem]]:
    """Replaces every ``MaxPool2d`` that a ``PhaseIF`` feeds; one that gets a sum of trains is a problem.

    1. MaxPool2d straight behind a PhaseIF.
    2. MaxPool2d behind another such pool.
    3. Either, with nodes between that only move spikes, as Flatten, and Place where trains lie side by side.
    """
    phases: dict[str, int] = {}
    nodes = dict(flat.nodes)
    problems: list[Problem] = []
    for name in flat.topology.order:
        node, senders = nodes[name], flat.sources(name)
        codes = {phases.get(sender, _SUM) for sender in senders}
        if type(node) is PhaseIF:
            phases[name] = node.phases
        elif any(sender in phases for sender in senders) and (type(node) is MaxPool2d or moves_values(node)):
            single = len(codes) == 1 and _apart([nodes[sender] for sender in senders])
            phases[name] = code = codes.pop() if single else _SUM
            if type(node) is MaxPool2d and code == _SUM:
                found = "gets a sum of phase-coded spikes, the first of which does not tell the largest value"
                problems.append(Problem(label(name, node), found, "Put a PhaseIF before it"))
            elif type(node) is MaxPool2d:
                nodes[name] = FirstSpikePool2d(node.kernel_size, node.stride, node.padding, code)
    return flat.with_nodes(nodes), problems


def _apart(senders: list[nir.NIRNode]) -> bool:
    """Whether no two of them send to one place."""
    slots = sorted((node.start, node.stop) for node in senders if type(node) is Place)
    return len(senders) == 1 or (len(slots) == len(senders) and all(a[1] <= b[0] for a, b in pairwise(slots)))
