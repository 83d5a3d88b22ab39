"""A quantised graph is integers throughout and gives the same ones on every runtime."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.ir import MultiLevelLIF, graphs_equal, spec_of
from nirbridge.passes.find_integers import stores_integers
from nirbridge.quantizing import quantize
from nirbridge.runtime import find_runtime, make_plan, runtime_names, support_problems
from tests.conformance.cases import dyadic, net
from tests.quantizing.networks import NETWORKS, Maker, frames

STATES = nirbridge.runtimes()
FIXED = [name for name in runtime_names() if STATES[name].usable and "fixed" in find_runtime(name).precisions]


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("name", NETWORKS)
def test_no_mismatch_in_spikes_and_membranes(name: str, bits: int) -> None:
    graph = NETWORKS[name](Maker(10 * bits))
    _assert_no_mismatch(graph, quantize(graph, frames(graph), weight_bits=bits), bits == 8)


@pytest.mark.parametrize("bits", [2, 8])
@pytest.mark.parametrize("name", NETWORKS)
def test_no_mismatch_with_a_step_for_each_channel(name: str, bits: int) -> None:
    graph = NETWORKS[name](Maker(10 * bits + 1))
    integers = quantize(graph, frames(graph), weight_bits=bits, per="channel", rounding="gptq")
    _assert_no_mismatch(graph, integers, bits == 8)


def _assert_no_mismatch(graph: nir.NIRGraph, integers: nir.NIRGraph, everywhere: bool) -> None:
    assert stores_integers(node for name, node in integers.nodes.items() if name != "output_unit")
    plan = make_plan(integers)
    names = [*plan.names, *(f"{p.name}:v" for p in plan.nodes if spec_of(p.node).has_membrane)]
    x = frames(graph, seed=1)
    with nirbridge.compile(integers) as program:
        assert program.plan.input_limit
        expected = program.run(x, record=names).records
    others = [n for n in FIXED if n != "reference"] if everywhere else ["norse"]
    for runtime in others:
        if support_problems(find_runtime(runtime), plan):
            continue
        with nirbridge.compile(integers, runtime) as program:
            found = program.run(x, record=names).records
        for node in names:
            assert (found[node] == expected[node]).all(), (runtime, node)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_eight_bits_follow_the_float_network(name: str, seed: int) -> None:
    """Rounding flips a spike now and then; the scores stay those of the float graph within 5 % of the largest."""
    graph = NETWORKS[name](Maker(seed))
    x = frames(graph, steps=make_plan(graph).block, batch=64, seed=seed)
    integers = quantize(graph, x)
    with nirbridge.compile(graph) as program:
        expected = program.run(x).output
    with nirbridge.compile(integers) as program:
        scores = program.run(x).output
    assert np.abs(expected).max() > 0
    assert np.abs(scores - expected).mean() < 0.05 * np.abs(expected).max()


def test_dyadic_networks_without_leak_are_exact() -> None:
    """Weights, thresholds and biases that fit the bits lose nothing: the integers are the float network, scaled."""
    acts = {
        "a1": MultiLevelLIF.one_hot((2, 4, 4), 3, 0.75, 1.0, "subtract", scaled=True, gain=0.5),
        "a2": MultiLevelLIF.uniform((2, 4, 4), 6, 0.5, 1.0, 0.25, "value"),
    }
    layers = {
        "c1": nir.Conv2d(None, dyadic((2, 2, 3, 3), -60, 60, 1 / 64, 1), 1, 1, 1, 1, dyadic((2,), -60, 60, 1 / 64, 2)),
        "c2": nir.Conv2d(None, dyadic((2, 2, 3, 3), -60, 60, 1 / 32, 3), 1, 1, 1, 1, dyadic((2,), -60, 60, 1 / 32, 4)),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten(None, 0, -1),
        "fc": nir.Affine(dyadic((3, 8), -60, 60, 1 / 16, 5), dyadic((3,), -60, 60, 0.5, 6)),
    }
    graph = net({**acts, **layers}, "input c1 a1 c2 a2 pool flat fc output", "a1 a2", "input a2", shape=(2, 4, 4))
    x = frames(graph)
    integers = quantize(graph, x)
    with nirbridge.compile(graph) as program:
        expected = program.run(x, record=["a1", "a2"])
    with nirbridge.compile(integers) as program:
        found = program.run(x, record=["a1", "a2"])
    assert (found.output == expected.output).all()
    assert (found.records["a1"] * 0.25 == expected.records["a1"]).all()
    assert (found.records["a2"] * 0.5 == expected.records["a2"]).all()
    assert len(np.unique(expected.records["a2"])) > 3


def test_the_file_holds_the_integers(tmp_path: object) -> None:
    graph = quantize(NETWORKS["residual"](Maker(3)))
    path = f"{tmp_path}/q.nir"
    nirbridge.write(path, graph)
    again = nirbridge.read(path)
    assert graphs_equal(again, graph)
    with nirbridge.compile(again) as program:
        assert program.plan.input_limit


def test_quantising_leaves_the_graph_as_it_was() -> None:
    graph, untouched = NETWORKS["core"](Maker(1)), NETWORKS["core"](Maker(1))
    quantize(graph)
    assert graphs_equal(graph, untouched)


def test_quantising_integers_again_changes_no_output() -> None:
    graph = NETWORKS["residual"](Maker(5))
    x = frames(graph)
    once = quantize(graph, x)
    twice = quantize(once, x)
    outputs = []
    for found in (once, twice):
        with nirbridge.compile(found) as program:
            outputs.append(program.run(x).output)
    assert (outputs[0] == outputs[1]).all()
