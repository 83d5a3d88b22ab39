"""Random graphs: where expand does not refuse, the core graph sends the same values, and fuse brings the nodes back."""

from __future__ import annotations

import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.errors import UnsupportedError
from nirbridge.ir import Extension, MultiLevelLIF, flatten
from tests.conformance.test_conformance import as_dict, assert_same


@pytest.mark.parametrize("batch", range(5))
def test_expanded_random_graphs_agree(batch: int) -> None:
    expanded_ones = folded = 0
    for seed in range(batch, 180, 5):
        graph = random_graph(seed)
        if not any(isinstance(node, Extension) for node in flatten(graph).nodes.values()):
            continue
        try:
            core = nirbridge.expand(graph, dt=DT)
        except UnsupportedError:
            continue
        x = random_data(graph, seed)
        with nirbridge.compile(graph, dt=DT, precision="float") as program:
            expected = as_dict(program.run(x).output)
        back = nirbridge.fuse(core)
        for other in (core, back):
            with nirbridge.compile(other, dt=DT) as program:
                assert_same(as_dict(program.run(x).output), expected, f"seed {seed}")
        expanded_ones += 1
        folded += any(type(node) is MultiLevelLIF for node in back.nodes.values())
        assert all(np.isfinite(values).all() for values in expected.values())
    assert expanded_ones >= 6
    assert folded >= 2
