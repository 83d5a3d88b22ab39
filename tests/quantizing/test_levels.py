"""Which synapses a neuron's unit hangs on."""

from __future__ import annotations

import nir
import numpy as np

from nirbridge.ir import flatten
from nirbridge.quantizing.levels import synapse_levels


def test_synapses_of_a_level_come_by_name() -> None:
    """What is said of them must not hang on the order of a set, which differs from process to process."""
    ways = [f"way {number}" for number in range(9)]
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([2])), "output": nir.Output(np.array([2]))}
    nodes |= {name: nir.Linear(np.full((2, 2), 0.5)) for name in (*reversed(ways), "first")}
    nodes["n"] = nir.IF(r=np.ones(2), v_threshold=np.ones(2))
    edges = [("input", "first"), ("n", "output")]
    edges += [edge for name in ways for edge in (("first", name), (name, "n"))]
    assert synapse_levels(flatten(nir.NIRGraph(nodes, edges)), "n") == [ways, ["first"]]
