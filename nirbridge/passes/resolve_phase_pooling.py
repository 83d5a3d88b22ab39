"""Max pooling behind phase-coded neurons becomes "the first spike in the window wins"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nir
from numpy.typing import NDArray

from nirbridge.ir import FlatGraph, MaxPool2d, PhaseIF, once
from nirbridge.ir.shapes import add_rule

_TRANSPARENT = (nir.Flatten,)
"""Nodes that keep a phase code a phase code."""


@dataclass(eq=False)
class FirstSpikePool2d(nir.NIRNode):
    """Max pooling of a phase code; it exists between passes and runtimes only and is never stored.

    In each window of ``phases`` steps an output spikes at the first step at which any input of its spatial window
    spikes, and stays silent after it: for a code with decreasing weights that is the maximum.
    """

    kernel_size: NDArray[Any]
    stride: NDArray[Any]
    padding: NDArray[Any]
    phases: int

    def __post_init__(self) -> None:
        self.input_type = {"input": None}
        self.output_type = {"output": None}


add_rule(FirstSpikePool2d, like=MaxPool2d)


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
