"""Two neurons for opposite signs before an aggregation: the same function on spikes, and where it is left alone."""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Aggregate, measure
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Relu
from nirbridge.converting.rewrites import split_signs
from nirbridge.errors import InputError
from nirbridge.ir import Aggregate as AggregateNode
from tests.converting.aggregating import (
    CLASSES,
    FEATURES,
    FINE,
    LEFT,
    NODES,
    SPLIT,
    arranged,
    features,
    head,
    links,
    pairs,
    run,
)
from tests.converting.published import convert_in_full


@pytest.mark.parametrize("name", SPLIT)
def test_it_is_the_same_function(name: str) -> None:
    net, x = head(name)
    graph = arranged(net, x)
    assert pairs(graph)
    with torch.no_grad():
        torch.testing.assert_close(run(graph, x), net(x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SPLIT)
def test_of_two_neurons_one_is_silent(name: str) -> None:
    net, x = head(name)
    graph = arranged(net, x)
    with torch.no_grad():
        found = {name: y for name, _, y in values(graph, functions(graph, x.dtype), x)}
    for plus in pairs(graph):
        minus = graph.nodes[plus].opposite
        assert graph.nodes[minus].opposite == plus
        assert not (found[plus] * found[minus]).any()


@pytest.mark.parametrize("name", [name for name in SPLIT if name != "two layers"])
def test_every_layer_takes_spikes(name: str) -> None:
    net, x = head(name)
    graph = convert_in_full(net, x.numpy()).graph
    for model in ("one-spike", "memory"):
        report = nirbridge.energy(graph, x.numpy()[None], model=model)
        inputs = {row.layer: row.input for row in report.layers if row.rate is not None}
        assert set(inputs.values()) == {"events"}, inputs
    linear = convert_in_full(net, x.numpy(), averages="linear").graph
    assert "analog" in {row.input for row in nirbridge.energy(linear, x.numpy()[None]).layers}


@pytest.mark.parametrize("name", SPLIT)
def test_the_error_vanishes_with_the_code_s_steps(name: str) -> None:
    net, x = head(name)
    errors = [measure(convert_in_full(net, x.numpy(), phases=t), x.numpy()).output_error for t in (8, 32, 128)]
    assert errors[0] > errors[1] > errors[2]
    assert measure(convert_in_full(net, x.numpy(), **FINE), x.numpy()).output_error < 0.03
    odd = convert_in_full(net, x.numpy(), **FINE, first_phase=0, bn="weights")
    assert measure(odd, x.numpy()).output_error < 0.03


@pytest.mark.parametrize("name", LEFT)
def test_where_no_sums_are_aggregated(name: str) -> None:
    net, x = head(name, LEFT)
    graph = arranged(net, x)
    assert not pairs(graph)
    assert split_signs(graph) is graph
    assert measure(convert_in_full(net, x.numpy(), **FINE), x.numpy()).output_error < 0.02


def test_linear_averages_leave_aggregations_alone() -> None:
    for name in SPLIT:
        net, x = head(name)
        assert not pairs(arranged(net, x, spiking_averages=False))


def test_aggregations_of_one_sum_share_their_neurons() -> None:
    net, x = head("several aggregations and a readout")
    graph = arranged(net, x)
    assert len(pairs(graph)) == 1
    assert len(graph.of_type(AggregateNode)) == 4
    assert set(graph.of_type(nir.Affine)) == {"fc", "fc.negated"}


def test_each_half_has_its_own_range() -> None:
    """One λ a channel behind a convolution, one in all behind a linear layer."""
    for name, shape in (("nodes last", (CLASSES, 1)), ("bias", ())):
        net, x = head(name)
        with torch.no_grad():
            z = (net.conv if shape else net.fc)(functional.relu(x + -0.3)).numpy()
        over = (0, 2) if shape else None
        layers = {layer.name: layer for layer in convert_in_full(net, x.numpy()).layers}
        for half, sign in (("plus", 1), ("minus", -1)):
            scale = next(layer.scale for layer in layers.values() if layer.name.endswith(half))
            assert scale.shape == shape
            largest = (sign * z).max(over)
            np.testing.assert_allclose(scale.ravel(), np.where(largest > 0, largest, largest.max()).ravel())


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("runtime", ["norse", "lava"])
@pytest.mark.parametrize("name", ["bias", "rectified sum", "normalised behind"])
def test_runtimes_agree(name: str, runtime: str, signed: bool) -> None:
    pytest.importorskip({"norse": "norse", "lava": "lava.magma"}[runtime])
    net, x = head(name)
    x = (x - 0.4 if signed else x).numpy()
    graph = convert_in_full(net, x, base=1.3).graph
    outputs = []
    for each in ("reference", runtime):
        with nirbridge.compile(graph, each) as program:
            outputs.append(program.run(x[None]).output)
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5 * np.abs(outputs[0]).max())


class Shifted(nn.Module):
    """Â (0.2 relu(x) W + c) on [B, nodes, features], whose sums have the signs that c gives them; Â once or twice."""

    def __init__(self, c: Tensor, hops: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.aggregate, self.fc = Aggregate(links()), nn.Linear(FEATURES, CLASSES, bias=False)
        self.c, self.out, self.hops = c, nn.Linear(CLASSES, CLASSES), hops

    def forward(self, x: Tensor) -> Tensor:
        z = 0.2 * self.fc(functional.relu(x)) + self.c
        for _ in range(self.hops):
            z = self.aggregate(z)
        return self.out(functional.relu(z + 12.0))


@pytest.mark.parametrize("hops", [1, 2])
@pytest.mark.parametrize(("sign", "left", "dropped"), [(1, "plus", "minus"), (-1, "minus", "plus")])
def test_a_sign_that_no_value_has_gets_no_neurons(sign: int, left: str, dropped: str, hops: int) -> None:
    c = sign * torch.tensor([1.0, 1.5, 2.0], dtype=torch.float64)
    net, x = Shifted(c, hops).double(), features(3, NODES, FEATURES)
    conversion = convert_in_full(net, x.numpy(), **FINE)
    halves = [f"aggregate.{left}", f"aggregate_1.{left}"][:hops]
    assert [layer.name for layer in conversion.layers] == ["relu", *halves, "relu_1"]
    assert len([node for node in conversion.graph.nodes.values() if type(node) is AggregateNode]) == hops
    note, *others = [note for note in conversion.notes if note.rule == "one_sign"]
    assert len(others) == hops - 1
    assert note.where == f"layer 'aggregate.{dropped}' (ReLU)"
    assert f"'aggregate.{left}' alone carries them" in str(note)
    assert measure(conversion, x.numpy()).output_error < 0.02


def test_a_channel_of_one_sign_is_no_dead_channel() -> None:
    """Unless no value has the other sign either."""
    net, x = head("nodes last")
    net.conv.bias.data.copy_(torch.tensor([9.0, -9.0, 0.0]))
    assert not convert_in_full(net, x.numpy()).notes
    net.conv.weight.data[2] = 0
    found = {note.where: note.found for note in convert_in_full(net, x.numpy()).notes}
    assert set(found) == {"layer 'last' (Linear)"}
    assert found["layer 'last' (Linear)"].startswith("1 of 3 channels are never active")


def test_sums_that_are_always_0_are_a_dead_layer() -> None:
    net, x = head("no bias")
    net.other.weight.data.zero_()
    with pytest.raises(InputError, match="no neuron is ever active") as caught:
        convert_in_full(net, x.numpy())
    assert "layer 'aggregate' (Aggregate)" in str(caught.value)


class Single(nn.Module):
    """relu(Â (X W) + X W'), W' where ``shortcut``: Â stands behind the input."""

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.aggregate, self.fc, self.other = Aggregate(links()), nn.Linear(FEATURES, 4), nn.Linear(FEATURES, 4)
        self.shortcut, self.out = shortcut, nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        z = self.aggregate(self.fc(x))
        return self.out(functional.relu(z + self.other(x) if self.shortcut else z))


@pytest.mark.parametrize(
    ("shortcut", "signed", "options", "split"),
    [
        (False, False, {}, True),
        (False, True, {}, True),
        (False, False, {"mean": 0.4}, True),
        (False, False, {"averages": "linear"}, False),
        (True, False, {}, False),
    ],
)
def test_the_first_layer(shortcut: bool, signed: bool, options: dict[str, Any], split: bool) -> None:
    """Not where spikes would meet the input in a sum, which would cost the input its binary code."""
    net, x = Single(shortcut).double(), features(3, NODES, FEATURES, signed=signed).numpy()
    conversion = convert_in_full(net, x, **FINE, **options)
    assert ("aggregate.plus" in [layer.name for layer in conversion.layers]) is split
    assert conversion.options["input_base"] == 2
    assert measure(conversion, x).output_error < 0.02
    inputs = {
        row.layer: row.input for row in nirbridge.energy(conversion.graph, x[None]).layers if row.rate is not None
    }
    assert set(inputs.values()) == ({"events"} if split else {"events", "analog"})


@pytest.mark.parametrize("signed", [False, True])
def test_the_coded_input_is_aggregated_as_it_is(signed: bool) -> None:
    net = nn.Sequential(Aggregate(links()), nn.ReLU(), nn.Linear(FEATURES, CLASSES)).double()
    x = features(3, NODES, FEATURES, signed=signed)
    assert not pairs(arranged(net, x))


@settings(max_examples=60, deadline=None)
@given(
    nodes=st.integers(1, 6), inner=st.integers(1, 5), outer=st.integers(1, 5), seed=st.integers(0, 10**6),
    nodes_last=st.booleans(), bias=st.booleans(),
)  # fmt: skip
def test_any_sizes(nodes: int, inner: int, outer: int, seed: int, nodes_last: bool, bias: bool) -> None:
    torch.manual_seed(seed)
    weight = torch.rand(nodes, nodes, dtype=torch.float64)
    if nodes_last:
        layers: list[nn.Module] = [nn.Conv1d(inner, outer, 1, bias=bias), nn.Linear(nodes, nodes, bias=False)]
        layers[1].weight.data = weight
    else:
        layers = [nn.Linear(inner, outer, bias=bias), Aggregate(weight)]
    net = nn.Sequential(nn.ReLU(), *layers).double()
    x = torch.randn(2, *((inner, nodes) if nodes_last else (nodes, inner)), dtype=torch.float64)
    graph = arranged(net, x)
    linear = type(graph.nodes["1"]) is nir.Linear and inner == outer
    assert len(graph.of_type(Relu)) == 3 or (linear and (graph.nodes["1"].weight >= 0).all())
    with torch.no_grad():
        torch.testing.assert_close(run(graph, x), net(x), rtol=1e-10, atol=1e-12)
