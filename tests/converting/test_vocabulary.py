"""What users' networks hold: each form gives what torch gives, and its spikes are the code of the layers' values."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Aggregate
from nirbridge.errors import ExportError
from nirbridge.ir import MaxPool2d, PhaseIF, Place
from tests.converting.exact import assert_exact
from tests.converting.networks import with_statistics
from tests.converting.published import convert_in_full
from tests.converting.test_networks import images


class Net(nn.Module):
    """Something of one line between two convolutions with ReLUs, over (4, 6, 6)."""

    def __init__(self, function: Callable[[Tensor, Net], Tensor], inner: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 1)
        self.function, self.inner = function, inner
        self.last, self.head = nn.LazyConv2d(3, 1), nn.LazyLinear(3)
        self(torch.zeros(1, 2, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(x, self)
        return self.head(functional.relu(self.last(y)).flatten(1))

    def a(self, x: Tensor) -> Tensor:
        return functional.relu(self.first(x))

    def b(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(x))


def _shuffled(x: Tensor) -> Tensor:
    batch, channels, height, width = x.size()
    return x.view(batch, 2, channels // 2, height, width).transpose(1, 2).reshape(batch, channels, height, width)


def _halves(x: Tensor, net: Net) -> Tensor:
    left, right = _shuffled(torch.cat([net.a(x), net.b(x)], 1)).chunk(2, 1)
    return torch.cat([2 * left, right], 1)


FORMS: dict[str, Callable[[Tensor, Net], Tensor]] = {
    "leaky": lambda x, net: functional.leaky_relu(net.first(x), 0.1),
    "leaky, steep": lambda x, net: functional.leaky_relu(net.first(x), 1.5),
    "leaky of spikes": lambda x, net: functional.leaky_relu(net.a(x) - 0.3, 0.2),
    "leaky twice": lambda x, net: functional.leaky_relu(functional.leaky_relu(net.first(x), 0.5) - 0.1, 0.5),
    "random slope, in evaluation": lambda x, net: functional.rrelu(net.first(x), 0.1, 0.3),
    "difference": lambda x, net: net.a(x) - net.b(x),
    "constant taken off": lambda x, net: functional.relu(net.first(x) - 0.25),
    "taken off a constant": lambda x, net: functional.relu(1 - net.first(x)),
    "subtracted by method": lambda x, net: functional.relu(net.a(x).sub(net.b(x), alpha=0.5)),
    "reversed": lambda x, net: functional.relu(torch.rsub(net.first(x), 0.5, alpha=2)),
    "of a constant tensor": lambda x, net: functional.relu(torch.full((4, 1, 1), 0.5).sub(net.first(x))),
    "negated, scaled, divided": lambda x, net: functional.relu(-(net.first(x) * 3) / 2),
    "concatenation": lambda x, net: torch.cat([net.a(x), net.b(x)], 1),
    "concatenation of sums": lambda x, net: functional.relu(torch.cat([net.first(x), net.a(x), x], 1)),
    "concatenation of concatenations": lambda x, net: torch.cat([torch.cat([net.a(x), net.b(x)], 1), net.a(x)], 1),
    "concatenation of rows": lambda x, net: torch.cat([net.a(x), net.b(x)], 2),
    "pool of a concatenation": lambda x, net: functional.max_pool2d(torch.cat([net.a(x), net.b(x)], 1), 3, 1, 1),
    "pool of joined rows": lambda x, net: functional.max_pool2d(torch.cat([net.a(x), net.b(x)], 2), 2),
    "pool of joined pools": lambda x, net: functional.max_pool2d(
        torch.cat([functional.max_pool2d(net.a(x), 2), functional.max_pool2d(net.b(x), 2)], 1), 2, 1
    ),
    "average of a concatenation": lambda x, net: functional.avg_pool2d(torch.cat([net.a(x), net.b(x)], 1), 2),
    "shuffle": lambda x, net: _shuffled(net.a(x)),
    "shuffle and halves": _halves,
    "pool of shuffled channels": lambda x, net: functional.max_pool2d(_shuffled(torch.cat([net.a(x), net.b(x)], 1)), 2),
    "channels taken": lambda x, net: net.a(x)[:, [3, 1, 1]] + net.b(x)[:, :3],
    "channels of the input": lambda x, net: torch.cat(
        [x[:, 0].unsqueeze(1) * 0.5 + 0.2, torch.unsqueeze(x[:, 1], 1)], 1
    ),
    "places to channels": lambda x, net: functional.pixel_unshuffle(net.a(x), 2),
    "channels to places": lambda x, net: functional.pixel_shuffle(net.a(x), 2),
    "max pool, ceil": lambda x, net: functional.max_pool2d(net.a(x), 4, 3, ceil_mode=True),
    "max pool, ceil, before ReLU": lambda x, net: functional.relu(
        functional.max_pool2d(net.first(x), 4, 3, ceil_mode=True)
    ),
    "average, padding not counted": lambda x, net: functional.avg_pool2d(
        net.a(x), 3, 2, 1, ceil_mode=True, count_include_pad=False
    ),
    "uneven average": lambda x, net: functional.adaptive_avg_pool2d(net.a(x), (4, 5)),
    "average to more places": lambda x, net: functional.adaptive_avg_pool2d(net.a(x), (8, 7)),
    "mean of places": lambda x, net: net.a(x).mean([2, 3], keepdim=True),
    "mean of rows": lambda x, net: net.a(x).mean(2, keepdim=True),
    "upsampled": lambda x, net: functional.interpolate(net.a(x), scale_factor=2),
    "pool of what was upsampled": lambda x, net: functional.max_pool2d(
        functional.interpolate(net.a(x), size=(6, 9)), (1, 2)
    ),
    "transposed": lambda x, net: functional.relu(
        functional.conv_transpose2d(net.a(x), net.first.weight[:, :, :2, :2], stride=2)
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name: str) -> None:
    assert_exact(Net(FORMS[name]), images(5, 2, 6, 6))


@pytest.mark.parametrize("bn", [False, True])
def test_modules_of_slopes(bn: bool) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4) if bn else nn.Identity()
    slopes = nn.PReLU(4)
    with torch.no_grad():
        slopes.weight.copy_(torch.tensor([0.1, -0.2, 1.0, 0.0]))
    leaky = nn.Conv2d(2, 4, 3), norm, slopes, nn.Conv2d(4, 3, 1), nn.LeakyReLU(0.2), nn.PReLU()
    net = with_statistics(nn.Sequential(*leaky, nn.Flatten(), nn.Linear(48, 3)))
    conversion = assert_exact(net, images(5, 2, 6, 6))
    assert [layer.name for layer in conversion.layers] == [
        f"{name}.{half}" for name in ("2", "4", "5") for half in ("plus", "minus")
    ]


@pytest.mark.parametrize("move", [lambda x: x[:, :3], lambda x: x.flip(1), _shuffled], ids=["slice", "flip", "shuffle"])
def test_moved_values_are_normalised_by_a_negative_scale(move: Callable[[Tensor], Tensor]) -> None:
    """What only moves values has no weights that would take the sign."""
    net = Net(lambda x, net: functional.relu(net.inner(move(net.a(x)))), nn.LazyBatchNorm2d())
    assert_exact(with_statistics(net, negative=True), images(5, 2, 6, 6))


def test_a_sign_that_no_value_has_needs_no_neurons() -> None:
    for function, kept in (
        (lambda x, net: functional.leaky_relu(net.a(x) + 0.1), "leaky_relu.plus"),
        (lambda x, net: functional.leaky_relu(-net.a(x) - 0.1), "leaky_relu.minus"),
    ):
        conversion = assert_exact(Net(function), images(5, 2, 6, 6))
        names = [layer.name for layer in conversion.layers]
        assert kept in names
        assert sum("leaky" in name for name in names) == 1
        assert "one_sign" in [note.rule for note in conversion.notes]


def test_concatenated_spikes_stay_spikes() -> None:
    """λ of each channel goes with it: no layer stands between the neurons and those that take them."""
    x = images(5, 2, 6, 6, signed=False)
    graph = assert_exact(Net(FORMS["concatenation"]), x).graph
    between = [name for name, node in graph.nodes.items() if type(node) in (Place, nir.Scale)]
    assert sorted(between) == ["cat.part0", "cat.part1"]
    moved = assert_exact(Net(FORMS["shuffle and halves"]), x).graph
    scales = [node for node in moved.nodes.values() if type(node) is nir.Scale]
    assert len(scales) == 1, "the factor of the code itself alone"


def test_pools_of_concatenations_need_no_neuron_of_their_own() -> None:
    graph = assert_exact(Net(FORMS["pool of a concatenation"]), images(5, 2, 6, 6)).graph
    assert sum(type(node) is PhaseIF for node in graph.nodes.values()) == 3
    assert sum(type(node) is MaxPool2d for node in graph.nodes.values()) == 1


def test_one_axis() -> None:
    torch.manual_seed(0)
    layers = nn.Conv1d(2, 4, 3), nn.LeakyReLU(0.1), nn.AvgPool1d(2, 2, 1), nn.Conv1d(4, 4, 1), nn.ReLU()
    ends = nn.Upsample(scale_factor=2), nn.ConvTranspose1d(4, 2, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool1d(4)
    assert_exact(nn.Sequential(*layers, *ends, nn.Flatten(), nn.Linear(8, 3)), images(5, 2, 10))


def test_an_aggregation_that_adds_to_a_convolution() -> None:
    """Its rows are no channels, so it cannot divide by a range for each of them."""

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.head = nn.Conv1d(5, 5, 3, padding=1), nn.Linear(20, 3)
            self.gathered = Aggregate(torch.rand(5, 5, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            x = functional.relu(x - 0.1)
            return self.head(functional.relu(self.conv(x) + self.gathered(x)).flatten(1))

    assert_exact(Both(), images(6, 5, 4))


@pytest.mark.parametrize(
    ("end", "where"),
    [
        (nn.Softmax(1), "module '4' (Softmax)"),
        (nn.LogSoftmax(-1), "module '4' (LogSoftmax)"),
        (nn.Sigmoid(), "module '4' (Sigmoid)"),
    ],
)
def test_the_end_is_left_out_with_a_note(end: nn.Module, where: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3), nn.Identity(), end)
    conversion = assert_exact(net, images(5, 4))
    (note,) = conversion.notes
    assert note.where == where
    assert "is left out" in note.found


def test_functions_at_the_end() -> None:
    for function in (
        lambda x: functional.log_softmax(x, dim=1),
        lambda x: x.softmax(-1),
        torch.sigmoid,
        lambda x: torch.softmax(functional.sigmoid(x), 1),
    ):
        net = Net(FORMS["shuffle"])
        net.head = nn.Sequential(net.head, _Function(function))
        notes = assert_exact(net, images(5, 2, 6, 6)).notes
        assert {note.rule for note in notes} == {"final_activation"}


class _Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda x, net: torch.softmax(net.first(x), 1), "function 'softmax': normalises the output"),
        (lambda x, net: torch.sigmoid(net.first(x)), "function 'sigmoid': is an analog activation"),
        (lambda x, net: 2 * functional.max_pool2d(functional.leaky_relu(net.first(x)), 2), "may be negative"),
        (lambda x, net: 2 * functional.max_pool2d(torch.cat([net.a(x), net.first(x)], 1), 2), "may be negative"),
        (lambda x, net: 1 / net.a(x), "divides by a tensor"),
        (lambda x, net: torch.cat([net.a(x), torch.ones(1)], 1), "does not depend on the network's input"),
        (lambda x, net: functional.rrelu(net.first(x), training=True), "draws its slopes at random"),
        (lambda x, net: torch.softmax(net.a(x), 0), "that of the samples"),
    ],
)
def test_refused_forms(function: Callable[[Tensor, Net], Tensor], text: str) -> None:
    net = Net(lambda x, net: torch.zeros(1, 4, 6, 6))
    net.function, net.last, net.head = function, nn.Identity(), nn.Identity()
    with pytest.raises(ExportError, match=text) as caught:
        convert_in_full(net, images(5, 2, 6, 6))
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


def test_flat_concatenation() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.c = nn.Linear(6, 5), nn.Linear(6, 3), nn.Linear(10, 3)

        def forward(self, x: Tensor) -> Tensor:
            left, right = functional.relu(self.a(x)), functional.relu(self.b(x))
            return self.c(torch.cat([left, right, left[:, 1:3]], -1))

    assert_exact(Two(), images(5, 6))


@pytest.mark.parametrize("name", ["pool of a concatenation", "pool of shuffled channels", "max pool, ceil"])
def test_fixed_point(name: str) -> None:
    """Quantised graphs take the first spike behind what is moved too: they stay near the graph of real numbers."""
    net, x = Net(FORMS[name]).double(), images(5, 2, 6, 6)
    graph = convert_in_full(net, x, phases=16, base=1.3).graph
    whole = nirbridge.quantize(graph, data=x[None], weight_bits=8)
    with nirbridge.compile(graph, "reference") as program:
        expected = program.run(x[None]).output[-1]
    outputs = []
    for runtime in ("reference", "norse"):
        with nirbridge.compile(whole, runtime) as program:
            outputs.append(program.run(x[None]).output[-1])
    np.testing.assert_array_equal(*outputs)
    assert np.corrcoef(outputs[0].ravel(), expected.ravel())[0, 1] > 0.99


def test_what_is_moved_costs_no_energy() -> None:
    """Neither here nor in the ANN: it is part of an event's address, however many zeros its matrix has."""
    net, x = Net(FORMS["shuffle and halves"]).double(), images(2, 2, 6, 6)
    report = nirbridge.energy(convert_in_full(net, x).graph, x[None])
    assert [layer.layer for layer in report.layers] == ["first", "second", "last", "head"]
    assert report.not_counted["chunk.part0"] == "part of the address of an event"


@pytest.mark.parametrize("bits", range(2, 17))
def test_rounded_weights_keep_what_is_moved(bits: int) -> None:
    net, x = Net(FORMS["pool of shuffled channels"]).double(), images(2, 2, 6, 6)
    graph = convert_in_full(net, x, weight_bits=bits).graph
    assert set(np.unique(graph.nodes["reshape"].weight)) == {0, 1}
