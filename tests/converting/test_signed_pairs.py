"""Two neurons for opposite signs before an aggregation: the same function on spikes, and where it is left alone."""

from __future__ import annotations

from collections.abc import Callable
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
from nirbridge.converting import Aggregate, Conversion, convert_in_full, measure
from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, Offset, Relu
from nirbridge.converting.rewrites import arrange, split_signs
from nirbridge.errors import InputError
from nirbridge.ir import Aggregate as AggregateNode
from nirbridge.networks import TextGCN
from tests.converting.networks import with_statistics

NODES, FEATURES, CLASSES = 12, 5, 3
FINE = {"phases": 150, "base": 1.025}
"""A code so fine that only a mistake could leave a large error."""


def links(nodes: int = NODES, seed: int = 0) -> Tensor:
    found = torch.rand(nodes, nodes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return found * (found < 0.4) + torch.eye(nodes, dtype=torch.float64)


def features(*shape: int, seed: int = 0, signed: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=torch.float64)
    return x - 0.5 if signed else x


class Head(nn.Module):
    """``tail`` behind a ReLU, on [B, nodes, features] or, where ``nodes_last``, on [B, features, nodes]."""

    def __init__(self, tail: Callable[[Head, Tensor], Tensor], nodes_last: bool, weight: Tensor) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tail, self.nodes_last = tail, nodes_last
        self.fc, self.other = nn.Linear(FEATURES, CLASSES), nn.Linear(FEATURES, CLASSES, bias=False)
        self.same, self.wide = nn.Linear(FEATURES, FEATURES), nn.Conv1d(FEATURES, CLASSES, 3, padding=1)
        self.conv, self.bn = nn.Conv1d(FEATURES, CLASSES, 1), nn.BatchNorm1d(CLASSES)
        self.aggregate, self.rows = Aggregate(weight), Aggregate(weight / weight.sum(1, keepdim=True))
        self.negative, self.sparse = Aggregate(weight - 0.1), Aggregate(weight.to_sparse())
        self.last = nn.Linear(len(weight), len(weight), bias=False)
        self.last.weight = nn.Parameter(weight.clone(), requires_grad=False)
        self.by_node = nn.Parameter(torch.rand(len(weight), 1))
        self.c = nn.Parameter(torch.rand(len(weight), CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self, functional.relu(x + -0.3))


def twice(m: Head, h: Tensor) -> Tensor:
    z = m.fc(h)
    return m.aggregate(z) + 0.5 * m.negative(z) + z


def read_twice(m: Head, h: Tensor) -> Tensor:
    y = m.aggregate(m.fc(h))
    return y + functional.relu(y)


Tails = dict[str, tuple[Callable[[Head, Tensor], Tensor], bool]]
SPLIT: Tails = {
    "bias": (lambda m, h: m.aggregate(m.fc(h)), False),
    "sparse": (lambda m, h: m.sparse(m.fc(h)), False),
    "no bias": (lambda m, h: m.aggregate(m.other(h)), False),
    "negative entries": (lambda m, h: m.negative(m.fc(h)), False),
    "chain": (lambda m, h: m.aggregate((0.5 * m.fc(h + -0.1) + m.c) * -2.0), False),
    "a factor for each node": (lambda m, h: m.aggregate(m.by_node * m.fc(h)), False),
    "two layers": (lambda m, h: m.aggregate(m.fc(m.same(h))), False),
    "two hops": (lambda m, h: m.aggregate(m.rows(m.fc(h))), False),
    "three hops": (lambda m, h: m.aggregate(m.rows(m.rows(m.fc(h)))), False),
    "a sum enters": (lambda m, h: m.aggregate(m.fc(h) + m.other(functional.relu(h + -0.2))), False),
    "a residual enters": (lambda m, h: m.aggregate(m.same(h) + h), False),
    "a signed residual enters": (lambda m, h: m.aggregate(m.same(h) + -0.5 * h + 0.25), False),
    "sum behind": (lambda m, h: m.aggregate(m.fc(h)) + m.other(h), False),
    "rectified sum": (lambda m, h: m.other(functional.relu(m.aggregate(m.same(h)) + h)), False),
    "several aggregations and a readout": (twice, False),
    "several readers": (read_twice, False),
    "nodes last": (lambda m, h: m.last(m.conv(h)), True),
    "a convolution over nodes": (lambda m, h: m.last(m.wide(h)), True),
    "normalised": (lambda m, h: m.last(m.bn(m.conv(h))), True),
    "normalised sum": (lambda m, h: m.last(m.bn(m.conv(h) + m.wide(h))), True),
    "normalised behind": (lambda m, h: functional.relu(m.bn(m.last(m.conv(h)))), True),
}
LEFT: Tails = {
    "spikes": (lambda m, h: m.other(m.aggregate(h)), False),
    "shifted spikes": (lambda m, h: m.aggregate(h + -0.1), False),
    "a difference of spikes": (lambda m, h: m.aggregate(h + -0.5 * functional.relu(h + -0.2)), False),
    "square without aggregation": (lambda m, h: m.fc(m.same(h)), False),
}


def head(name: str, table: Tails = SPLIT) -> tuple[Head, Any]:
    """The network in double precision and data for it."""
    tail, nodes_last = table[name]
    net = with_statistics(Head(tail, nodes_last, links()).double())
    shape = (FEATURES, NODES) if nodes_last else (NODES, FEATURES)
    return net, features(3, *shape)


def arranged(net: nn.Module, x: Tensor, **options: Any) -> AnalogGraph:
    given = {"into_threshold": True, "spiking_averages": True, "input_too": bool((x >= 0).all())}
    return arrange(analog_graph(net, x.shape[1:]), **(given | options))


def pairs(graph: AnalogGraph) -> list[str]:
    """The first of each two neurons for opposite signs."""
    return [name for name in graph.of_type(Relu) if graph.nodes[name].opposite and name.endswith("plus")]


def run(graph: AnalogGraph, x: Tensor) -> Tensor:
    with torch.no_grad():
        return next(y for name, _, y in values(graph, functions(graph, x.dtype), x) if name == graph.output)


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
        inputs = {row.layer: row.input for row in report.layers if row.macs}
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
    inputs = {row.layer: row.input for row in nirbridge.energy(conversion.graph, x[None]).layers if row.macs}
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


@pytest.fixture(scope="module")
def digits() -> tuple[TextGCN, np.ndarray, np.ndarray]:
    """A trained ``TextGCN`` on a graph of 250 digits, its features and its labels."""
    pytest.importorskip("sklearn")
    from benchmarks.results import digit_graph
    from examples.train_data import make_graph

    graph = make_graph(250, 6)
    net, _ = digit_graph.trained(graph, 0, 16, 8, 100, 0.02, 5e-4)
    return net, graph.features.numpy()[None], graph.labels.numpy()


def accuracy(conversion: Conversion, x: np.ndarray, labels: np.ndarray) -> float:
    with nirbridge.compile(conversion.graph) as program:
        return float(100 * (program.run(x[None]).output[-1][0].argmax(0) == labels).mean())


def test_two_layers_become_four_of_spikes_and_lose_less_than_a_point(
    digits: tuple[TextGCN, np.ndarray, np.ndarray],
) -> None:
    """Seed 001: four layers, 0.9 points lost in the mean at T = 16 and Q = 1.3."""
    net, x, labels = digits
    with torch.no_grad():
        analog = 100 * (net(torch.as_tensor(x))[0].numpy().argmax(0) == labels).mean()
    assert analog > 90
    for options in ({}, {"weight_bits": 8}):
        conversion = convert_in_full(net, x, base=1.3, **options)
        assert [layer.name for layer in conversion.layers] == ["act1", "act2", "aggregate2.plus", "aggregate2.minus"]
        assert conversion.latency.depth == 3, "two neurons for opposite signs are one layer"
        assert abs(analog - accuracy(conversion, x, labels)) < 0.9
        synapses = [row for row in nirbridge.energy(conversion.graph, x[None], model="one-spike").layers if row.macs]
        twice = {"transform2", "aggregate2", "transform2.negated", "aggregate2.negated"}
        assert {row.layer for row in synapses} == {"transform1", "aggregate1"} | twice
        assert all(row.input == "events" for row in synapses)
        rates = {row.layer: row.rate for row in synapses if row.layer != "transform1"}
        assert max(rates.values()) <= 1, "one spike each"
        assert rates["aggregate2"] + rates["aggregate2.negated"] <= 1, "and one of two neurons"


def test_the_report_compares_each_half_with_its_part_of_the_sums(
    digits: tuple[TextGCN, np.ndarray, np.ndarray],
) -> None:
    net, x, _ = digits
    conversion = convert_in_full(net, x, base=1.3)
    with torch.no_grad():
        hidden = net.act2(net.aggregate1(net.act1(net.transform1(torch.as_tensor(x)))))
        sums = net.transform2(hidden).numpy()
    found = {error.name: error for error in measure(conversion, x).layers}
    with nirbridge.compile(conversion.graph) as program:
        names = [layer.name for layer in conversion.layers[2:]]
        records = program.run(x[None], record=names).records
    for layer, sign in zip(conversion.layers[2:], (1, -1), strict=True):
        expected = np.maximum(sign * sums, 0)
        decoded = np.tensordot(1.3 ** -np.arange(1.0, 17), records[layer.name], (0, 0)) * layer.scale
        error = found[layer.name]
        assert error.neurons == 10 * 250
        assert error.mean_absolute == pytest.approx(np.abs(decoded - expected).mean(), rel=1e-6)
        assert error.relative == pytest.approx(np.abs(decoded - expected).sum() / expected.sum(), rel=1e-6)
        assert error.rate == pytest.approx(records[layer.name].any(0).mean())
        np.testing.assert_allclose(layer.scale.ravel(), expected.max((0, 2)))


class Averaged(nn.Module):
    """(A H) W with nodes first or last."""

    def __init__(self, nodes_last: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.conv = nn.Linear(FEATURES, CLASSES), nn.Conv1d(FEATURES, CLASSES, 1)
        self.conv.weight.data, self.conv.bias = self.linear.weight.data[..., None], self.linear.bias
        self.first, self.last = Aggregate(links()), nn.Linear(NODES, NODES, bias=False)
        self.last.weight.data = links()
        self.nodes_last = nodes_last

    def forward(self, x: Tensor) -> Tensor:
        if self.nodes_last:
            return self.conv(self.last(functional.relu(x)))
        return self.linear(self.first(functional.relu(x)))


def test_nodes_last_are_coded_as_nodes_first() -> None:
    """One neuron behind an aggregation of spikes, from the smallest value of each feature over the nodes on."""
    x = 1 + features(2, NODES, FEATURES).numpy()
    first = convert_in_full(Averaged(False).double(), x)
    last = convert_in_full(Averaged(True).double(), x.swapaxes(1, 2))
    lows = []
    for conversion, name in ((first, "first.spike"), (last, "last.spike")):
        assert [layer.name for layer in conversion.layers] == ["relu", name]
        assert conversion.analog is not None
        lows.append(np.ravel(conversion.analog.nodes[f"{name}.offset"].value))
    np.testing.assert_allclose(lows[0], lows[1], rtol=1e-6)
    outputs: list[Array] = []
    for conversion, data in ((first, x), (last, x.swapaxes(1, 2))):
        with nirbridge.compile(conversion.graph) as program:
            outputs.append(program.run(data[None]).output[-1])
    np.testing.assert_allclose(outputs[0].swapaxes(1, 2), outputs[1], rtol=1e-5)


def test_a_pool_takes_aggregates_that_are_coded_from_0_on() -> None:
    """The largest of m + s is not the largest of s where m differs between the places of a window."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.ReLU(), Aggregate(links(4)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 9, 3)).double()
    x = features(3, 4, 6, 6) + torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    conversion = convert_in_full(net, x.numpy(), **FINE)
    assert conversion.analog is not None
    assert not conversion.analog.of_type(Offset)
    assert measure(conversion, x.numpy()).output_error < 0.02


@pytest.mark.parametrize("name", ["bias", "nodes last"])
def test_decisions_are_compared_over_classes(name: str) -> None:
    net, x = head(name)
    conversion = convert_in_full(net, x.numpy(), phases=6)
    with nirbridge.compile(conversion.graph) as program, torch.no_grad():
        found, expected = program.run(x.numpy()[None]).output[-1], net(x).numpy()
    axis = 1 if SPLIT[name][1] else 2
    assert found.shape[axis] == CLASSES
    same = (found.argmax(axis) == expected.argmax(axis)).mean()
    assert measure(conversion, x.numpy()).agreement == same < 1
