"""Graph networks converted: what a trained one loses and takes, and averages over nodes first or last."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Aggregate, Conversion, measure
from nirbridge.converting.markers import Array, Offset
from nirbridge.costing import count_macs
from nirbridge.networks import TextGCN
from tests.converting.aggregating import CLASSES, FEATURES, FINE, NODES, SPLIT, features, head, links, pairs
from tests.converting.published import convert_in_full


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
    """Hwang and Kung: four layers, 0.9 points lost in the mean at T = 16 and Q = 1.3."""
    net, x, labels = digits
    with torch.no_grad():
        analog = 100 * (net(torch.as_tensor(x))[0].numpy().argmax(0) == labels).mean()
    assert analog > 90
    for options in ({}, {"weight_bits": 8}):
        conversion = convert_in_full(net, x, base=1.3, **options)
        assert [layer.name for layer in conversion.layers] == ["act1", "act2", "aggregate2.plus", "aggregate2.minus"]
        assert conversion.latency.depth == 3, "two neurons for opposite signs are one layer"
        assert abs(analog - accuracy(conversion, x, labels)) < 0.9
        rows = nirbridge.energy(conversion.graph, x[None], model="one-spike").layers
        synapses = [row for row in rows if row.rate is not None]
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
        assert error.error == pytest.approx(((decoded - expected) ** 2).sum() / (expected**2).sum(), rel=1e-6)
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


@pytest.mark.parametrize("model", ["one-spike", "memory"])
@pytest.mark.parametrize("name", SPLIT)
def test_the_ann_has_one_of_two_signs(name: str, model: str, tmp_path: Path) -> None:
    """Its energy is that of the network where averages stay linear, which has each layer once; in 8 bits, too."""
    net, x = head(name)
    taken, both = [], []
    for averages in ("spike", "linear"):
        conversion = convert_in_full(net, x.numpy(), averages=averages, weight_bits=8)
        assert conversion.analog is not None
        both.append(bool(pairs(conversion.analog)))
        nirbridge.write(tmp_path / "graph.nir", conversion.graph)
        taken.append(nirbridge.energy(nirbridge.read(tmp_path / "graph.nir"), x.numpy()[None], model=model))
    spiking, linear = taken
    assert spiking.ann_pj == pytest.approx(linear.ann_pj)
    if name != "chain":  # of which the copies alone are left
        assert {row.layer for row in spiking.layers if row.macs} == {row.layer for row in linear.layers if row.macs}
    assert spiking.macs == linear.macs == sum(count_macs(conversion.graph).values())
    assert [any("one for each sign: " in line for line in report.assumptions) for report in taken] == both
    assert both == [name != "chain", False], "in the chain no sum is below 0"


def test_integers_keep_what_the_ann_has_once() -> None:
    net, x = head("bias")
    graph = convert_in_full(net, x.numpy(), base=1.3).graph
    graph.metadata = {"made": "here"}
    integers = nirbridge.quantize(graph, data=x.numpy()[None])
    assert integers.metadata == graph.metadata
    taken, kept = ({name for name, macs in count_macs(g).items() if not macs} for g in (graph, integers))
    assert kept == taken != set()


def test_a_note_of_another_size_is_no_copy() -> None:
    """Notes in files of strangers count only where they can be true."""
    nodes = {"input": nir.Input(np.array([4])), "a": nir.Linear(np.ones((3, 4))), "b": nir.Linear(np.ones((2, 3)))}
    nodes |= {"output": nir.Output(np.array([2]))}
    for note in ("a", 7, "none such"):
        nodes["b"].metadata = {"copy_of": note}
        graph = nir.NIRGraph(nodes, [("input", "a"), ("a", "b"), ("b", "output")])
        assert count_macs(graph) == {"a": 12, "b": 6}
