"""Random graphs, quantised: those that have integers give the same ones on every runtime, at every node."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.random_graphs import DT, random_data, random_graph
from nirbridge.errors import UnsupportedError
from nirbridge.ir import PhaseIF, TemporalMix, spec_of
from nirbridge.quantizing import quantize
from nirbridge.quantizing.driver import PER, ROUNDINGS
from nirbridge.runtime import Data, make_plan

COUNT, BATCHES = 120, 4


def _quantised(seed: int) -> tuple[nir.NIRGraph, Data] | None:
    graph = random_graph(seed)
    x = random_data(graph, seed)
    per, rounding = PER[seed % 2], ROUNDINGS[seed // 2 % 2]
    try:
        return quantize(graph, x, weight_bits=2 + seed % 7, per=per, rounding=rounding, dt=DT), x
    except UnsupportedError:
        return None


def _run(graph: nir.NIRGraph, x: Data, runtime: str, **options: object) -> dict[str, np.ndarray]:
    plan = make_plan(graph, DT)
    names = [*plan.names, *(f"{p.name}:v" for p in plan.nodes if spec_of(p.node).has_membrane)]
    with nirbridge.compile(graph, runtime, dt=DT, precision="fixed", **options) as program:
        return program.run(x, record=names).records


def _assert_same(graph: nir.NIRGraph, x: Data, seed: int, runtime: str, **options: object) -> None:
    expected, found = _run(graph, x, "reference"), _run(graph, x, runtime, **options)
    for name, values in expected.items():
        assert (found[name] == values).all(), (seed, name)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_reference_and_norse_agree(batch: int) -> None:
    if not nirbridge.runtimes()["norse"].usable:
        pytest.skip("norse is not usable here")
    ran = 0
    for seed in range(batch, COUNT, BATCHES):
        if found := _quantised(seed):
            _assert_same(*found, seed, "norse")
            ran += 1
    assert ran > COUNT // BATCHES // 4


@pytest.mark.parametrize("mapping", ["processes", "fused"])
def test_lava_agrees(mapping: str) -> None:
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip("lava is not usable here")
    ran = 0
    for seed in range(COUNT):
        if ran < 3 and (found := _quantised(seed)) and {PhaseIF, TemporalMix} & set(map(type, found[0].nodes.values())):
            _assert_same(*found, seed, "lava", mapping=mapping)
            ran += 1
    assert ran == 3
