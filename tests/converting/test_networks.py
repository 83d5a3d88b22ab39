"""Kinds of networks: residual, graph, pre-activation, with pooling in odd places; their error falls to zero with T."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Aggregate, measure
from nirbridge.converting.evaluate import functions, values
from nirbridge.errors import ExportError
from nirbridge.ir import Aggregate as AggregateNode
from nirbridge.ir import PhaseEncode, PhaseIF, graphs_equal
from tests.converting.networks import Resnet, with_statistics
from tests.converting.published import convert_in_full

FINE = {"phases": 150, "base": 1.025}
"""A code so fine that only a mistake could leave a large error."""


def images(count: int, *shape: int, seed: int = 0, signed: bool = True) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((count, *shape)) if signed else generator.random((count, *shape))


def fine_error(module: nn.Module, x: np.ndarray, runtime: str = "reference") -> float:
    return measure(convert_in_full(module.double().eval(), x, **FINE), x, runtime).output_error


@pytest.mark.parametrize("negative", [False, True])
def test_cifar_resnet(negative: bool) -> None:
    torch.manual_seed(0)
    net = with_statistics(Resnet(), negative=negative)
    x = images(6, 3, 8, 8)
    assert fine_error(net, x, "norse") < 0.03
    conversion = convert_in_full(net, x)
    assert conversion.latency.depth == 8, "seven convolutions and one average"
    assert any("have a negative scale" in str(note) for note in conversion.notes) is negative


def test_torchvision_resnet18_converts_and_runs_on_norse() -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    net = with_statistics(torchvision.models.resnet18(num_classes=10))
    x = images(4, 3, 32, 32).astype(np.float32)
    conversion = convert_in_full(net, x)
    report = measure(conversion, x, "norse")
    assert conversion.latency.depth == 17
    assert report.layers[0].error < 0.01
    assert report.output_error < 0.35
    coded = [node for node in conversion.graph.nodes.values() if type(node) is PhaseIF]
    assert len(coded) == 17
    assert [node.base_in for node in coded].count(2.0) == 1, "the first hidden layer alone takes the binary code"


class PreActivation(nn.Module):
    """A residual stream that is never rectified: sums of convolutions, normalised where they are read."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, 3, padding=1)
        self.bn1, self.bn2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.conv1, self.conv2 = nn.Conv2d(6, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv1(functional.relu(self.bn1(x)))
        x = functional.relu(self.bn2(self.conv2(functional.relu(x)))) + functional.relu(x)
        return self.fc(x.mean((2, 3)))


def test_the_stream_of_a_pre_activation_network_carries_the_input_in_the_base_of_spikes() -> None:
    torch.manual_seed(0)
    net = with_statistics(PreActivation().double())
    x = images(4, 2, 6, 6)
    conversion = convert_in_full(net, x)
    (note,) = [note for note in conversion.notes if note.rule == "input_base"]
    assert "adds to spikes of base 1.28, so it has that base and resolves 0.019 of its maximum" in str(note)
    bases = {node.base for node in conversion.graph.nodes.values() if type(node) is PhaseEncode}
    assert bases == {conversion.options["base"]} == {conversion.options["input_base"]}
    assert fine_error(net, x) < 0.03
    with pytest.raises(ExportError, match="adds the coded input to spikes of a base above 2"):
        convert_in_full(net, x, base=2.5)


def test_other_networks_keep_the_binary_input() -> None:
    torch.manual_seed(0)
    conversion = convert_in_full(with_statistics(Stream()), images(4, 2, 6, 6))
    assert not [note for note in conversion.notes if note.rule == "input_base"]
    assert conversion.options["input_base"] == 2


class Stream(nn.Module):
    """A stream of sums behind a first neuron, read by several layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv1, self.conv2 = (nn.Conv2d(c, 6, 3, padding=1) for c in (2, 6, 6))
        self.bn1, self.bn2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.stem(x))
        x = x + self.conv1(functional.relu(self.bn1(x)))
        x = x + 0.5 * self.conv2(functional.relu(self.bn2(x))) + 0.125
        return self.fc(functional.relu(x).mean((2, 3)))


def test_sums_that_several_layers_read() -> None:
    torch.manual_seed(0)
    assert fine_error(with_statistics(Stream(), negative=True), images(4, 2, 6, 6)) < 0.03


IN_ANY_ORDER: dict[str, Callable[[], list[nn.Module]]] = {
    "max first": lambda: [nn.Conv2d(2, 5, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)],
    "mean first": lambda: [nn.Conv2d(2, 5, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(20, 3)],
    "activation at both ends": lambda: [nn.ReLU(), nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Flatten()],
    "pool input": lambda: [nn.MaxPool2d(2), nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)],
    "mean at the end": lambda: [nn.AvgPool2d(2), nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1)],
    "two linear": lambda: [nn.Flatten(), nn.Linear(72, 6), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)],
    "groups and stride": lambda: [
        nn.Conv2d(2, 4, 3, padding=1, groups=2, stride=2),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, dilation=1),
        nn.ReLU(),
        nn.MaxPool2d(1),
        nn.Flatten(1),
        nn.Linear(6, 2),
    ],
    "no neuron": lambda: [nn.Flatten(), nn.Linear(72, 4)],
}


@pytest.mark.parametrize("name", IN_ANY_ORDER)
def test_layers_in_any_order(name: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(*IN_ANY_ORDER[name]())
    assert fine_error(net, images(8, 2, 6, 6, signed=False)) < 0.03


def test_one_dimensional_convolutions() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(2, 5, 3), nn.BatchNorm1d(5), nn.ReLU(), nn.Conv1d(5, 4, 2), nn.ReLU(), nn.Flatten())
    net = with_statistics(nn.Sequential(*net, nn.Linear(36, 3)))
    assert fine_error(net, images(8, 2, 12)) < 0.03


def test_normalised_input_is_folded_into_the_graph() -> None:
    """The graph takes raw pictures, the network normalised ones; zero padding is zero behind the normalisation."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.ReLU(), nn.Flatten())
    net = nn.Sequential(*net, nn.Linear(64, 5)).double()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    raw = images(8, 3, 6, 6, signed=False)
    conversion = convert_in_full(net, raw, **FINE, mean=mean, std=std)
    with nirbridge.compile(conversion.graph) as program:
        found = program.run(raw[None]).output[-1]
    shaped = [np.reshape(values, (3, 1, 1)) for values in (mean, std)]
    with torch.no_grad():
        expected = net(torch.as_tensor((raw - shaped[0]) / shaped[1])).numpy()
    assert np.abs(found - expected).mean() < 0.03 * np.abs(expected).mean()
    first = conversion.graph.nodes["1"]
    assert first.v_init.shape == (6, 6, 6), "the padding makes the bias differ at the border"


def adjacency(nodes: int, seed: int = 0) -> np.ndarray:
    links = np.random.default_rng(seed).random((nodes, nodes)) < 0.25
    links = links | links.T | np.eye(nodes, dtype=bool)
    degree = links.sum(1)
    return links / np.sqrt(np.outer(degree, degree))


class Gcn(nn.Module):
    """Two graph convolutions, relu(A X W) and A H W, in either order of the products."""

    def __init__(self, weight: Tensor, gather_first: bool) -> None:
        super().__init__()
        self.aggregate, self.gather_first = Aggregate(weight), gather_first
        self.fc1, self.fc2 = nn.Linear(7, 9), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.gather_first:
            return self.fc2(self.aggregate(functional.relu(self.fc1(self.aggregate(x)))))
        return self.aggregate(self.fc2(functional.relu(self.aggregate(self.fc1(x)))))


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("gather_first", [True, False])
def test_graph_network(sparse: bool, gather_first: bool) -> None:
    torch.manual_seed(0)
    weight = torch.as_tensor(adjacency(14))
    net = Gcn(weight.to_sparse() if sparse else weight, gather_first)
    x = images(2, 14, 7, signed=False)
    assert fine_error(net, x) < 0.02
    conversion = convert_in_full(net, x)
    names = [layer.name for layer in conversion.layers]
    assert len(names) == (3 if gather_first else 5), "A X and X W are a layer each, of two neurons behind X W"
    matrices = [node.weight for node in conversion.graph.nodes.values() if type(node) is AggregateNode]
    assert len(matrices) == (2 if gather_first else 4)
    assert all(isinstance(matrix, np.ndarray) is not sparse for matrix in matrices)
    report = measure(conversion, x)
    assert report.agreement > 0.9


def test_matrix_products_are_aggregation_and_linear_layers() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("a", torch.as_tensor(adjacency(9)))
            self.w1, self.w2 = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(6, 2))
            self.b1 = nn.Parameter(torch.randn(6))

        def forward(self, x: Tensor) -> Tensor:
            x = functional.relu(self.a @ torch.matmul(x, self.w1) + self.b1)
            return torch.matmul(self.a, x @ self.w2)

    torch.manual_seed(0)
    net, x = Plain(), images(2, 9, 4, signed=False)
    assert fine_error(net, x) < 0.02
    kinds = {type(node) for node in convert_in_full(net, x).graph.nodes.values()}
    assert {AggregateNode, nir.Linear} <= kinds


def test_aggregate_is_the_product_with_its_matrix() -> None:
    weight = torch.as_tensor(adjacency(5))
    x = torch.randn(3, 5, 2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.einsum("ij,bjcd->bicd", weight, x)
    for module in (Aggregate(weight), Aggregate(weight.to_sparse())):
        torch.testing.assert_close(module(x), expected)


@pytest.fixture(scope="module", params=["words", "dense"])
def communities(request: pytest.FixtureRequest) -> tuple[str, nn.Module, np.ndarray, np.ndarray]:
    """A trained graph network that tells two communities apart by binary or by dense features."""
    generator = np.random.default_rng(0)
    labels = np.arange(80) % 2
    linked = generator.random((80, 80)) < np.where(labels[:, None] == labels[None], 0.25, 0.03)
    linked = linked | linked.T | np.eye(80, dtype=bool)
    weight = torch.as_tensor(linked / np.sqrt(np.outer(linked.sum(1), linked.sum(1))))
    x = generator.random((1, 80, 7))
    if request.param == "words":
        x = (x < np.where(labels[:, None] == np.arange(7) % 2, 0.35, 0.1)).astype(float)
    else:
        x[0, :40, 0] += 0.5 * labels[:40]
    torch.manual_seed(0)
    net, target = Gcn(weight, gather_first=True).double(), torch.as_tensor(labels)
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(120):
        optimizer.zero_grad()
        functional.cross_entropy(net(torch.as_tensor(x))[0, :40], target[:40]).backward()
        optimizer.step()
    return request.param, net.eval(), x, labels


def test_trained_graph_network_keeps_its_answers(communities: tuple[str, nn.Module, np.ndarray, np.ndarray]) -> None:
    """Means of dense features are close to each other: 16 phases would blur them if they coded them from 0 on."""
    features, net, x, labels = communities

    def accuracy(**options: Any) -> float:
        with nirbridge.compile(convert_in_full(net, x, **options).graph, "norse") as program:
            return float((program.run(x[None]).output[-1].argmax(-1) == labels).mean())

    with torch.no_grad():
        analog = float((net(torch.as_tensor(x)).numpy().argmax(-1) == labels).mean())
    assert analog > 0.95
    assert accuracy(phases=64) > analog - 0.01
    assert accuracy(base=1.3, averages="linear") > analog - 0.02
    assert accuracy(base=1.3) > analog - (0.01 if features == "words" else 0.04)


def test_aggregates_are_coded_from_their_smallest_value_on() -> None:
    """x = m + relu(x - m): exact on the calibration data, whatever the code; m goes into the next layer's bias."""
    torch.manual_seed(0)
    net = Gcn(torch.as_tensor(adjacency(14)), gather_first=True).double()
    x = 1 + images(2, 14, 7, signed=False)
    conversion = convert_in_full(net, x)
    analog = conversion.analog
    assert analog is not None
    for name in ("aggregate.spike", "aggregate_1.spike"):
        (behind,) = analog.consumers[name]
        low = analog.nodes[behind].value
        assert low.shape == (analog.shapes[name][-1],)
        np.testing.assert_array_equal(analog.nodes[name].shift, -low)
    gathered = np.einsum("ij,bjf->bif", adjacency(14), x)
    np.testing.assert_allclose(analog.nodes["aggregate.spike.offset"].value, gathered.min((0, 1)), rtol=1e-6)
    whole = torch.as_tensor(x)
    with torch.no_grad():
        found = next(y for name, _, y in values(analog, functions(analog, whole.dtype), whole) if name == "output")
        torch.testing.assert_close(found, net(whole))
    constant = np.ones_like(x)
    assert convert_in_full(net, constant).layers, "features that do not vary are coded whole"


def test_input_scale_is_what_the_code_spans() -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double(), images(20, 3, signed=False)
    wide = convert_in_full(net, x, **FINE, input_scale=4.0)
    assert wide.graph.nodes["input.code"].scale == 4
    assert measure(wide, x).output_error < 0.03
    assert measure(convert_in_full(net, x, **FINE, input_scale=0.25), x).output_error > 0.1


def test_bytes_and_tensors_are_data_too() -> None:
    """Pictures of 0..255: eight phases carry every grey value exactly."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    x = np.random.default_rng(0).integers(0, 256, (12, 1, 4, 4)).astype(np.uint8)
    options = {"phases": 8, "input_scale": 256, "mean": 127.5, "std": 64.0}
    graph = convert_in_full(net, x, **options).graph
    assert graphs_equal(graph, convert_in_full(net, torch.as_tensor(x), **options).graph)
    with nirbridge.compile(graph) as program:
        spikes = program.run(x[None].astype(float), record=["input.code"]).records["input.code"]
    np.testing.assert_array_equal(np.tensordot(2.0 ** np.arange(7, -1, -1), spikes, (0, 0)), x)
