"""Walks over graphs meet a node once: 2^60 paths, long rings and chains of products end in seconds or in one line."""

from __future__ import annotations

import nir
import numpy as np
import pytest

import nirbridge
from nirbridge.conformance.cases import net
from nirbridge.costing.layers import layers_of
from nirbridge.errors import GraphError, UnsupportedError
from nirbridge.ir import MultiLevelLIF, Place, Product
from nirbridge.runtime import Source, make_plan, sent_exponents
from nirbridge.runtime.integer_bounds import message_bounds

ONE = np.ones(2)
X = np.ones((2, 1, 2))


def diamonds(count: int, first: str = "fire") -> nir.NIRGraph:
    """A spiking neuron, diamonds of Scale nodes one behind the other, a neuron and a synapse."""
    nodes: dict[str, nir.NIRNode] = {"fire": nir.Threshold(ONE * 0.5)}
    edges, last = ["input fire"], first
    for k in range(count):
        nodes |= {f"{name}{k}": nir.Scale(ONE * 0.5) for name in "abc"}
        edges += [f"{last} a{k} c{k}", f"{last} b{k} c{k}"]
        last = f"c{k}"
    nodes |= {"act": nir.IF(ONE, ONE), "fc": nir.Linear(np.eye(2))}
    return net(nodes, *edges, f"{last} act fc output", shape=(2,))


def test_energy_counts_ways_and_refuses_too_many() -> None:
    (act,) = [layer for layer in layers_of(make_plan(diamonds(3))) if layer.name == "act"]
    assert act.neurons[0].direct == {Source("fire"): 8}
    row = nirbridge.energy(diamonds(3), X, model="memory")["act"]
    assert row.events == 2 * 2 * 8
    with pytest.raises(UnsupportedError, match="more than 9007199254740992 ways"):
        nirbridge.energy(diamonds(60), X)


def test_a_long_ring_that_is_entered_in_its_middle_is_refused_in_one_line() -> None:
    """The scale of the middle hangs on that of 250 synapses which the order puts behind it."""
    names = [f"n{k}" for k in range(500)]
    nodes = {"act": nir.IF(ONE, ONE), **{name: nir.Linear(0.7 * np.eye(2)) for name in names}}
    graph = net(nodes, "input n250", " ".join(names), f"{names[-1]} act n0", "act output", shape=(2,))
    assert nirbridge.check(graph) == []
    with pytest.raises((GraphError, UnsupportedError), match="beyond double precision, after so many synapses"):
        nirbridge.quantize(graph)


def test_bounds_of_products_do_not_double_their_digits_for_ever() -> None:
    nodes: dict[str, nir.NIRNode] = {"m": MultiLevelLIF.one_hot((2,), 4)}
    edges, last = ["input m"], "m"
    for k in range(40):
        nodes |= {f"p{k}": Place((2,), (4,), 0, 2), f"q{k}": Place((2,), (4,), 2, 4), f"x{k}": Product((4,), 2)}
        edges += [f"{last} p{k} x{k}", f"{last} q{k} x{k}"]
        last = f"x{k}"
    plan = make_plan(net(nodes, *edges, f"{last} output", shape=(2,)))
    assert [message_bounds(plan)[f"x{k}"] for k in range(3)] == [8**2, 8**4, 8**8]
    assert message_bounds(plan)["x39"].bit_length() < 256
    exponents = sent_exponents(plan)
    assert (exponents["x0"], exponents["x39"]) == ((0, 1, 2, 3, 4, 5, 6), None)
