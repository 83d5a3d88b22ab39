"""Parameters of several shapes in one node broadcast: in memory, through a file, and on every runtime."""

from __future__ import annotations

import io
import itertools

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.errors import GraphError
from nirbridge.primitives import BUILT_IN

ELEMENTWISE = {spec.node: spec.parameters for spec in BUILT_IN if spec.parameters}
SHAPE = (3, 2, 2)
_RANGES = {"tau": (0.005, 0.02), "tau_syn": (0.005, 0.02), "tau_mem": (0.005, 0.02), "v_threshold": (0.3, 0.8)}


def _pair(kind: type[nir.NIRNode], seed: int) -> tuple[nir.NIRGraph, nir.NIRGraph]:
    """A graph whose node holds a scalar, (1,), (C, 1, 1) and (C, H, W) beside each other, and the same written out."""
    rng = np.random.default_rng(seed)
    graphs = []
    full = {name: rng.uniform(*_RANGES.get(name, (0.2, 1.0)), SHAPE) for name in ELEMENTWISE[kind]}
    if kind is nir.Delay:
        full["delay"] = rng.integers(0, 4, SHAPE) * 1e-3
    small = {
        name: (value, value[0, 0, 0], value[0, 0, :1], value[:, :1, :1])[(place + seed) % 4]
        for place, (name, value) in enumerate(full.items())
    }
    for values in (small, {name: np.broadcast_to(value, SHAPE) for name, value in small.items()}):
        node = kind(**full)
        for name, value in values.items():
            setattr(node, name, value)
        nodes = {"input": nir.Input(np.array(SHAPE)), "n": node, "output": nir.Output(np.array(SHAPE))}
        graphs.append(nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return graphs[0], graphs[1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_mixed_shapes_mean_what_they_broadcast_to(kind: type[nir.NIRNode], seed: int) -> None:
    mixed, written_out = _pair(kind, seed)
    file = io.BytesIO()
    nirbridge.write(file, mixed)
    read = nirbridge.read(file)
    for name in ELEMENTWISE[kind]:
        assert np.shape(getattr(read.nodes["n"], name)) == np.shape(getattr(mixed.nodes["n"], name))
    x = np.random.default_rng(seed).uniform(0, 2, (20, 2, *SHAPE))
    for options in ({}, {"reset": "subtract"}, {"integrator": "exact", "reset": "subtract"}):
        with nirbridge.compile(written_out, **options) as program:
            expected = program.run(x).output
        assert np.any(expected)
        for graph in (mixed, read):
            with nirbridge.compile(graph, **options) as program:
                np.testing.assert_array_equal(program.run(x).output, expected)
        with nirbridge.compile(read, "norse", dtype="float64", **options) as program:
            np.testing.assert_allclose(program.run(x).output, expected, atol=1e-9)
    with nirbridge.compile(written_out) as expected_program, nirbridge.compile(read, "lava") as program:
        np.testing.assert_allclose(program.run(x).output, expected_program.run(x).output, atol=1e-9)


def test_a_file_of_norse_with_scalars_beside_arrays() -> None:
    """v' = 0.1 (1 - v) from 0 crosses 0.5 at every 7th step: 4 spikes in 30 steps, for each of 2 neurons."""
    lif = nir.LIF(*(np.full(2, value) for value in (0.01, 1.0, 0.0, 0.5, 0.0)))
    lif.r, lif.v_leak = np.float32(1.0), np.float32(0.0)
    nodes = {"input": nir.Input(np.array([2])), "n": lif, "output": nir.Output(np.array([2]))}
    file = io.BytesIO()
    nirbridge.write(file, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    with nirbridge.compile(nirbridge.read(file)) as program:
        assert program.run(np.ones((30, 1, 2))).output.sum() == 8


def test_shapes_that_do_not_broadcast_are_refused() -> None:
    lif = nir.LIF(*(np.ones(4) for _ in range(5)))
    lif.r = np.ones(3)
    nodes = {"input": nir.Input(np.array([4])), "n": lif, "output": nir.Output(np.array([4]))}
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False)
    (problem,) = nirbridge.check(graph)
    assert "r of shape (3,) does not broadcast to (4,)" in problem.found
    with pytest.raises(GraphError, match=r"node 'n' \(LIF\)"):
        nirbridge.write(io.BytesIO(), graph)
