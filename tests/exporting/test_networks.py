"""Whole networks: the graph on runtime reference computes what the module computes."""

from __future__ import annotations

import nir
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from nirbridge.errors import ExportError, GraphWarning
from nirbridge.exporting import export
from nirbridge.ir import MaxPool2d, MultiLevelLIF, graphs_equal
from nirbridge.neurons import Barrier, MultiLevelIF, OverTime
from nirbridge.neurons import MultiLevelLIF as Neuron
from tests.exporting.running import compare, dyadic, make_dyadic, randomise_statistics, run_graph, run_module


class Residual(nn.Module):
    """Spikes of two convolutions, added to the shortcut before the second neuron, or behind it (SEW, with barrier)."""

    def __init__(self, channels: int, out: int, stride: int, sew: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.act1 = Neuron(lanes=2, threshold=0.25)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.act2 = MultiLevelIF(3, threshold=0.75)
        self.sew = sew
        self.barrier = Barrier(2, threshold=0.5) if sew else None
        plain = stride == 1 and channels == out
        self.shortcut = (
            nn.Identity() if plain else nn.Sequential(nn.Conv2d(channels, out, 1, stride), nn.BatchNorm2d(out))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(self.act1(self.bn1(self.conv1(x)))))
        if self.sew:
            return self.barrier(self.act2(y) + self.shortcut(x))
        y += self.shortcut(x)
        return self.act2(y)


class ResidualNet(nn.Module):
    def __init__(self, sew: bool) -> None:
        super().__init__()
        self.block1 = Residual(2, 4, 2, sew)
        self.block2 = Residual(4, 4, 1, sew)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.block2(self.block1(x))


class Reduced(nn.Module):
    """Every second place, zero channels and zeros around the picture, as CIFAR ResNets without parameters have them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.act1 = nn.Conv2d(2, 4, 3, padding=1), Neuron(lanes=2, threshold=0.25)
        self.pad, self.conv2, self.act2 = nn.ZeroPad2d((0, 1, 2, 0)), nn.Conv2d(8, 4, 2), MultiLevelIF(3, threshold=0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.pad(self.act1(self.conv1(x))[..., ::2, ::2], (0, 0, 0, 0, 1, 3))
        return self.act2(self.conv2(self.pad(x)))


def test_slices_by_a_step_and_zero_padding() -> None:
    compare(OverTime(make_dyadic(Reduced())), dyadic(5, 3, 2, 7, 6))


def test_mlp_is_exact_in_both_layouts() -> None:
    body = [nn.Flatten(1), nn.Linear(24, 16), Neuron(3), nn.Dropout(0.5), nn.Linear(16, 10, bias=False), Neuron(2)]
    net = make_dyadic(nn.Sequential(*body))
    x = dyadic(6, 4, 2, 3, 4)
    folded = compare(OverTime(net), x)
    over_time = nn.Sequential(nn.Flatten(2), *body[1:])
    assert list(compare(over_time, x).nodes) == ["input", "0", "1", "2", "4", "5", "output"]
    assert list(folded.nodes) == list(export(over_time, (2, 3, 4)).nodes)
    # Without OverTime the code itself tells that time is folded.
    np.testing.assert_array_equal(run_graph(export(net, (2, 3, 4)), x.numpy()), run_module(OverTime(net), x))


def test_linear_works_on_the_last_of_several_axes() -> None:
    net = make_dyadic(nn.Sequential(nn.Linear(5, 4), Neuron(2), nn.Linear(4, 3, bias=False)))
    graph = compare(net, dyadic(4, 3, 6, 5))
    assert type(graph.nodes["0"]) is nir.Affine
    assert type(graph.nodes["2"]) is nir.Linear
    assert tuple(graph.nodes["output"].output_type["output"]) == (6, 3)


def test_cnn_with_every_kind_of_convolution_and_pooling() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2, bias=False),
        nn.BatchNorm2d(4),
        Neuron(lanes=3, threshold=0.25, decay=0.5),
        nn.MaxPool2d(3, 1, 1),
        nn.Conv2d(4, 8, (2, 3), padding="same", dilation=2),
        nn.BatchNorm2d(8, affine=False),
        MultiLevelIF(4, threshold=0.5),
        nn.AvgPool2d((2, 3), (1, 2), padding=(1, 1), ceil_mode=True),
        nn.Conv2d(8, 4, 3, dilation=2, padding=1),
        Neuron(2, threshold=0.125, reset="value"),
        nn.AdaptiveAvgPool2d((1, None)),
        nn.Dropout2d(),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 5),
        nn.BatchNorm1d(5),
        MultiLevelIF(6, threshold=0.5),
    ).double()
    graph = compare(OverTime(randomise_statistics(net)), dyadic(6, 3, 2, 12, 14))
    assert [name for name, node in graph.nodes.items() if type(node) is MaxPool2d] == ["3", "12"]
    assert sum(type(node) is MultiLevelLIF for node in graph.nodes.values()) == 4


def test_conv1d_network() -> None:
    net = nn.Sequential(
        nn.Conv1d(3, 6, 3, stride=2, padding=1, groups=3),
        nn.BatchNorm1d(6),
        Neuron(3, threshold=0.25),
        nn.Conv1d(6, 4, 4, dilation=2, padding="same", bias=False),
        MultiLevelIF(4),
        nn.Flatten(),
        nn.Linear(4 * 8, 3),
        nn.BatchNorm1d(3),
        Neuron(2, threshold=0.25),
    ).double()
    compare(OverTime(randomise_statistics(net)), dyadic(5, 2, 3, 16))


@pytest.mark.parametrize("sew", [False, True])
def test_residual_blocks(sew: bool) -> None:
    torch.manual_seed(1)
    net = OverTime(randomise_statistics(ResidualNet(sew).double()))
    graph = compare(net, dyadic(6, 3, 2, 8, 8))
    assert "block1.shortcut.0" in graph.nodes
    assert not any("bn" in name for name in graph.nodes)
    last = "block2.barrier" if sew else "block2.act2"
    first = "block1.barrier" if sew else "block1.act2"
    branch = "block2.act2" if sew else "block2.conv2"
    assert {source for source, target in graph.edges if target == last} == {first, branch}


class Functional(nn.Module):
    """The same things said with functions, operators and methods."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 2, 3, 3))
        self.conv = nn.Conv2d(4, 4, 1)
        self.act = Neuron(3, threshold=0.5)
        self.act2 = Neuron(2, threshold=0.5)
        self.fc = nn.Linear(16, 3)
        self.register_buffer("gain", torch.tensor([1.0, 0.5, 2.0, -1.0]).reshape(1, 4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.ndim == 4
        _, c, h, _ = x.shape
        y = functional.conv2d(x, self.weight / 2, stride=1, padding=1)
        if c == 2:
            y = self.gain * (y * self.gain)
        y = self.act(functional.max_pool2d(y, 2))
        z = torch.add(self.conv(y), y, alpha=2) - 0.5 * y
        z = self.act2(functional.dropout(z, 0.5, self.training) / 4)
        z = functional.avg_pool2d(z, kernel_size=(h // 4, 1))
        z = functional.adaptive_avg_pool2d(z, (2, 2)).contiguous().view(x.size(0), -1)
        return functional.linear(-z, self.fc.weight, self.fc.bias)


def test_functional_forward() -> None:
    graph = compare(OverTime(make_dyadic(Functional())), dyadic(4, 3, 2, 8, 8))
    assert {"conv2d", "max_pool2d", "act", "conv", "linear"} <= set(graph.nodes)


class Spread(nn.Module):
    """One result with several uses, a sum with several uses, a sum that is an output, and a layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(2)
        self.act = Neuron(2, threshold=0.5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        raw = self.conv(x)
        total = self.bn(raw) + raw
        return total + x, self.act(total) + self.act(self.conv(total + total)) + x


def test_fan_out_and_sums() -> None:
    torch.manual_seed(2)
    net = randomise_statistics(Spread().double())

    class OverTwo(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first, second = self.net(x)
            return first - second

    x = dyadic(4, 2, 2, 5, 5)
    compare(OverTime(OverTwo()), x, exact=False)
    graph = export(net, (2, 5, 5))
    outputs = run_graph(graph, x.numpy())
    assert set(outputs) == {"output_0", "output_1"}
    # The raw convolution is used beside its normalised self, so it keeps its name and its own weights.
    np.testing.assert_array_equal(graph.nodes["conv"].weight, net.conv.weight.detach().numpy())
    assert {"conv", "bn", "conv_1", "act", "act_1"} <= set(graph.nodes)
    assert len(set(graph.edges)) == len(graph.edges), "NIR's own reader refuses an edge that stands twice"


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 5, 3)])
def test_batch_norm_without_a_layer_before(shape: tuple[int, ...]) -> None:
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    net = OverTime(randomise_statistics(nn.Sequential(kind(4), kind(4), Neuron(2, threshold=0.5)).double()))
    compare(net, dyadic(3, 2, *shape, low=-24))


def test_batch_norm_behind_a_linear_over_several_axes_normalises_the_first() -> None:
    net = OverTime(randomise_statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(5)).double()))
    graph = compare(net, dyadic(3, 2, 5, 3), exact=False)
    assert [type(node) for node in graph.nodes.values()][1:3] == [nir.Affine, nir.Conv1d]


def test_means_over_the_picture() -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean((-2, -1)) + torch.sum(x, dim=(2, 3), keepdim=True).squeeze(-1).squeeze(-1)

    compare(OverTime(Mean()), dyadic(3, 2, 4, 2, 8))


def test_layouts_written_out_by_hand() -> None:
    class ByHand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 3)
            self.act = Neuron(2)
            self.fc = nn.Linear(12, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            steps, batch = x.shape[:2]
            y = self.conv(x.flatten(0, 1))
            y = self.act(y.view(steps, batch, *y.shape[1:]))
            return self.fc(y.flatten(2))

    compare(make_dyadic(ByHand()), dyadic(5, 3, 2, 4, 4))


def test_over_time_inside_of_a_network() -> None:
    class Inside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = OverTime(nn.Sequential(nn.Conv2d(2, 3, 3), Neuron(2), nn.Flatten()))
            self.fc = nn.Linear(12, 4)
            self.act = MultiLevelIF(2, threshold=2.0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.fc(self.features(x)))

    graph = compare(make_dyadic(Inside()), dyadic(5, 3, 2, 4, 4))
    assert list(graph.nodes) == ["input", "features.0", "features.1", "features.2", "fc", "act", "output"]


class Sums(nn.Module):
    """Over the last axis of [T*B, C, L], or the one before it of [T, B, C, L], which no node does."""

    def __init__(self) -> None:
        super().__init__()
        self.act = Neuron(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x.sum(2))


def test_code_that_runs_under_a_reading_without_a_graph_is_not_read_otherwise() -> None:
    with pytest.raises(ExportError, match=r"runs on tensors \[T, B, ...\] too, and there .*'sum'.*OverTime"):
        export(Sums(), (3, 4))
    compare(OverTime(Sums()), dyadic(5, 2, 3, 4))


class Halved(nn.Module):
    """The first channels of [T*B, C, L], or the first samples of [T, B, ...]."""

    def __init__(self) -> None:
        super().__init__()
        self.act = Neuron(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x[:, :2])


def test_code_that_would_mix_samples_is_told_how_it_was_read() -> None:
    with pytest.warns(GraphWarning, match=r"'getitem' .*takes parts of time or batch.* read as code for \[T\*B, ...\]"):
        graph = export(Halved(), (3, 4))
    assert graphs_equal(graph, export(OverTime(Halved()), (3, 4))), "and without a word where OverTime says it"


class Folding(nn.Module):
    """Takes the axis of time from a neuron that runs over it."""

    def __init__(self) -> None:
        super().__init__()
        self.act = Neuron(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x.flatten(0, 1))


def test_a_neuron_without_an_axis_of_time_is_refused() -> None:
    """It would run over all samples as if they were steps."""
    with pytest.raises(ExportError, match=r"runs over \[T, B, ...\] here, but its input is \[T\*B, ...\]"):
        export(Folding(), (3,))
