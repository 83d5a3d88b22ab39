"""What cannot be converted, or only with a loss, is said by name."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import ConversionWarning, convert_in_full
from nirbridge.errors import ExportError, GraphError, InputError, NirbridgeError
from nirbridge.neurons import QCFS, MultiLevelLIF
from tests.converting.networks import Cnn, Mlp, Trained, with_statistics


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).double()


def data(count: int = 20, width: int = 4) -> np.ndarray:
    return np.random.default_rng(0).random((count, width))


def one_line(error: pytest.ExceptionInfo[NirbridgeError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.Sigmoid(), r"module '1' \(Sigmoid\): is an analog activation.*Use ReLU"),
        (nn.LeakyReLU(), r"module '1' \(LeakyReLU\).*Use ReLU"),
        (nn.ReLU6(), r"module '1' \(ReLU6\).*Use ReLU"),
        (nn.LayerNorm(6), r"module '1' \(LayerNorm\).*BatchNorm"),
        (nn.Softmax(-1), r"module '1' \(Softmax\).*Return the logits"),
        (QCFS(4), r"module '1' \(QCFS\).*method='qcfs'"),
        (MultiLevelLIF(), r"module '1' \(MultiLevelLIF\): spikes already.*nirbridge export"),
        (nn.GRUCell(6, 6), r"module '1' \(GRUCell\)"),
    ],
)
def test_unsupported_modules(layer: nn.Module, expected: str) -> None:
    net = nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 3))
    with pytest.raises(ExportError, match=expected) as error:
        nirbridge.convert(net, data())
    one_line(error)


class Functions(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.fc, self.function = nn.Linear(4, 4), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.fc(x))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (torch.sigmoid, "function 'sigmoid'.*Use ReLU"),
        (functional.gelu, "function 'gelu'.*Use ReLU"),
        (lambda x: functional.log_softmax(x, -1), "function 'log_softmax'.*Return the logits"),
        (lambda x: torch.cat([x, x], 1), "concatenation"),
        (lambda x: x * x, "multiplies two tensors"),
        (lambda x: torch.matmul(x, x), "multiplies two tensors"),
        (lambda x: torch.sparse.mm(torch.eye(4).to_sparse(), x), r"without a batch axis.*Aggregate\(A\)"),
        (lambda x: x + torch.ones(3), r"adds a constant of shape \(3,\)"),
    ],
)
def test_unsupported_functions(function: Any, expected: str) -> None:
    with pytest.raises(ExportError, match=expected) as error:
        nirbridge.convert(Functions(function), data())
    one_line(error)


def test_every_problem_is_listed_at_once() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.GELU())
    with pytest.raises(ExportError) as error:
        nirbridge.convert(net, data())
    assert [problem.where for problem in error.value.problems] == ["module '1' (Tanh)", "module '3' (GELU)"]


def test_pooling_of_values_that_may_be_negative() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Flatten())
    with pytest.raises(ExportError, match=r"node '1' \(MaxPool2d\): takes the largest of values that may be negative"):
        nirbridge.convert(net, np.ones((2, 1, 8, 8)))


class Overwriting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.relu, self.fc2 = nn.Linear(4, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        before = self.fc1(x)
        return self.fc2(self.relu(before) + before)


def test_code_that_its_trace_does_not_tell() -> None:
    torch.manual_seed(0)
    with pytest.raises(ExportError, match="computes something else than its traced code"):
        nirbridge.convert(Overwriting(), data())


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.zeros((5, 4)), "all zero"),
        (np.ones(4), r"shape \(4,\), expected \[N, \*shape\]"),
        (np.ones((0, 4)), r"shape \(0, 4\)"),
        (np.full((2, 4), np.nan), "NaN or infinity"),
        (np.array([["a"]]), "not numbers"),
    ],
)
def test_bad_calibration_data(samples: np.ndarray, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as error:
        nirbridge.convert(small(), samples)
    assert one_line(error).startswith("argument 'data'")


def test_data_of_another_shape_name_the_layer_that_cannot_take_them() -> None:
    with pytest.raises(ExportError, match=r"module '0' \(Linear\): input \(5,\) does not end with the 4"):
        nirbridge.convert(small(), data(width=5))
    with pytest.raises(ExportError, match=r"module 'conv1' \(Conv2d\).*3 channels"):
        nirbridge.convert(Cnn(), np.ones((2, 3, 8, 8)))
    with pytest.raises(ExportError, match=r"module 'fc' \(Linear\)"):
        nirbridge.convert(Cnn(), np.ones((2, 1, 16, 16)))


def test_dead_channels_are_named_and_stay_silent() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(180, 3)).double()
    with torch.no_grad():
        net[0].bias.fill_(1.0)
        net[0].bias[2] = -100
    x = np.random.default_rng(0).random((6, 1, 8, 8))
    with pytest.warns(ConversionWarning, match=r"layer '1' \(ReLU\): 1 of 5 channels are never active"):
        graph = nirbridge.convert(net, x)
    with nirbridge.compile(graph) as program:
        spikes = program.run(x[None], record=["1"]).records["1"]
    assert [bool(spikes[:, :, channel].any()) for channel in range(5)] == [True, True, False, True, True]


def test_a_dead_layer_is_an_error_that_names_it() -> None:
    net = small()
    with torch.no_grad():
        net[0].bias.fill_(-100)
    with pytest.raises(InputError, match=r"layer '1' \(ReLU\): no neuron is ever active.*λ = 0") as error:
        nirbridge.convert(net, data())
    one_line(error)


def test_a_negative_scale_is_named() -> None:
    torch.manual_seed(0)
    net = with_statistics(Mlp(), negative=True)
    with pytest.warns(ConversionWarning, match=r"layer 'bn' \(BatchNorm\): 16 of 48 channels have a negative scale"):
        nirbridge.convert(net, np.random.default_rng(0).random((30, 1, 8, 8)))


def test_a_scale_of_zero_leaves_the_shift() -> None:
    torch.manual_seed(0)
    net = with_statistics(Mlp().double())
    with torch.no_grad():
        net.bn.weight[:2] = 0
        net.bn.bias[:2] = torch.tensor([0.5, -0.5])
    x = np.random.default_rng(0).random((30, 1, 8, 8))
    graph = convert_in_full(net, x).graph
    with nirbridge.compile(graph) as program:
        spikes = program.run(x[None], record=["act1"]).records["act1"]
    assert (spikes[:, :, 0].sum(0) == 1).all()
    assert not spikes[:, :, 1].any()


@pytest.mark.parametrize(("phases", "base"), [(4, 1.3), (16, 1.1), (1, 1.5)])
def test_too_few_phases_for_the_base_are_named(phases: int, base: float) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nirbridge.convert(small(), data(), phases=phases, base=base)
    assert {warning.category for warning in caught} == {ConversionWarning}
    text = rf"layer '1' \(PhaseIF\): {phases} phases of base {base} end at .* above 0.1"
    assert len([warning for warning in caught if re.match(text, str(warning.message))]) == 1


def test_enough_phases_warn_of_nothing(mlp: Trained) -> None:
    assert convert_in_full(mlp.module, mlp.train, phases=16, base=1.3).notes == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "magic"}, "option 'method': 'magic' is unknown"),
        ({"phases": 0}, "option 'phases': 0 is not a whole number"),
        ({"phases": 2.5}, "option 'phases'"),
        ({"wait": 17}, "option 'wait': 17 is not a whole number from 0 to 16"),
        ({"base": 1.0}, "option 'base': 1.0 is neither 'auto' nor a number above 1"),
        ({"base": "big"}, "option 'base': 'big'"),
        ({"base": float("nan")}, "option 'base'"),
        ({"phases": 512}, r"option 'phases'.*above 2\^1000"),
        ({"first_phase": -1}, "option 'first_phase'"),
        ({"bn": "nowhere"}, "option 'bn'"),
        ({"averages": "no"}, "option 'averages': 'no' is unknown. Known: spike, linear"),
        ({"weight_bits": 1}, "option 'weight_bits'"),
        ({"input_scale": 0}, "option 'input_scale'"),
        ({"mean": (0.5, 0.5)}, "option 'mean': has 2 numbers for 4 channels"),
        ({"std": 0.0}, "option 'std'"),
        ({"steps": 2}, "option 'steps': method 'one-spike' does not know it"),
    ],
)
def test_bad_options(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected) as error:
        nirbridge.convert(small(), data(), **options)
    one_line(error)


def test_what_is_no_module() -> None:
    with pytest.raises(InputError, match="argument 'ann': is a str"):
        nirbridge.convert("model", data())  # type: ignore[arg-type]


@pytest.mark.parametrize("layer", [0, 2])
def test_weights_that_are_no_numbers(layer: int) -> None:
    net = small()
    with torch.no_grad():
        net[layer].weight[0, 0] = float("nan")
    with pytest.raises(GraphError, match=f"'{layer}'"):
        nirbridge.convert(net, data())


def test_the_network_is_left_as_it_was() -> None:
    net = with_statistics(Cnn())
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    convert_in_full(net, np.random.default_rng(0).random((8, 1, 8, 8)))
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
