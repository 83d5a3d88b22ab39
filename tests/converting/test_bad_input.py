"""What cannot be converted, or only with a loss, is said by name."""

from __future__ import annotations

import re
import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import Aggregate, ConversionWarning, convert_in_full
from nirbridge.errors import ExportError, InputError, NirbridgeError
from nirbridge.ir import graphs_equal
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
        (nn.ELU(), r"module '1' \(ELU\).*Use ReLU"),
        (nn.Hardtanh(), r"module '1' \(Hardtanh\): keeps values between -1.0 and 1.0.*Clamp from 0"),
        (nn.Threshold(0.1, 0), r"module '1' \(Threshold\): sends 0 for what is not above 0.1.*Use ReLU"),
        (nn.Threshold(0, 1), r"module '1' \(Threshold\): sends 1 for what is not above 0,.*Use ReLU"),
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
        return -self.function(self.fc(x))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (torch.sigmoid, "function 'sigmoid'.*Use ReLU"),
        (functional.gelu, "function 'gelu'.*Use ReLU"),
        (lambda x: functional.log_softmax(x, -1), "function 'log_softmax'.*Return the logits"),
        (lambda x: torch.stack([x, x], 1), "adds an axis"),
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


def test_only_the_first_cause_of_dead_layers_is_an_error() -> None:
    """Behind a dead layer pools and layers without bias are dead too, as is a neuron that conversion put there."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1, bias=False), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Conv2d(4, 2, 1), nn.Flatten()).double()
    with torch.no_grad():
        net[0].bias.fill_(-100)
    with pytest.raises(InputError, match=r"^layer '1' \(ReLU\): no neuron is ever active") as error:
        nirbridge.convert(net, np.random.default_rng(0).random((6, 1, 10, 10)))
    one_line(error)


def test_a_dead_neuron_that_conversion_inserted_bears_the_name_of_its_layer() -> None:
    class Empty(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.aggregate, self.fc = Aggregate(torch.zeros(4, 4)), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.aggregate(x))

    with pytest.raises(InputError, match=r"^layer 'aggregate' \(Aggregate\): no neuron is ever active"):
        nirbridge.convert(Empty(), np.random.default_rng(0).random((2, 4, 3)))


def test_half_precision_that_cannot_be_copied_is_refused() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).half()
    net[0].doubled = net[0].weight * 2  # no leaf of the graph of gradients, which torch does not copy
    with pytest.raises(ExportError, match=r"is in half precision, and copying it raises .* Call its float\(\) first"):
        nirbridge.convert(net, np.ones((2, 4)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_converted_in_single(dtype: torch.dtype) -> None:
    net = with_statistics(Cnn()).to(dtype)
    x = torch.as_tensor(np.random.default_rng(0).random((8, 1, 8, 8))).to(dtype)
    graph = convert_in_full(net, x).graph
    assert {parameter.dtype for parameter in net.parameters()} == {dtype}
    assert graphs_equal(graph, convert_in_full(deepcopy(net).float(), x.float()).graph)


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
    text = rf"layer '1' \(PhaseIF\): {phases} phases of base {base} end at .*, so smaller ones are lost"
    assert len([warning for warning in caught if re.match(text, str(warning.message))]) == 1


@pytest.mark.parametrize(("base", "advised"), [("auto", False), (1.2, True), (3.5, False)])
def test_a_larger_base_is_advised_only_where_it_helps(base: Any, advised: bool) -> None:
    (note, *_) = convert_in_full(small(), data(), phases=1, base=base).notes
    assert note.rule == "too_few_phases"
    assert ("auto" in note.next_step) is advised
    assert note.next_step.startswith("Use more phases")


def test_input_beyond_its_scale_is_told() -> None:
    x = np.array([[0.1, -0.2, 0.3, 0.4]]).repeat(5, 0)
    assert not [note for note in convert_in_full(small(), x, input_scale=0.4).notes if note.rule == "input_clipped"]
    with pytest.warns(ConversionWarning, match=r"^input 'input': 50.00% of its values are above input_scale 0.25"):
        nirbridge.convert(small(), x, input_scale=0.25)


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
        ({"mean": ["a"]}, r"option 'mean': \['a'\] is not one or more numbers"),
        ({"mean": "abc"}, "option 'mean': 'abc' is not one or more numbers"),
        ({"std": object()}, "option 'std'.* is not one or more positive numbers"),
        ({"rounding": "no"}, "option 'rounding': 'no' is neither True nor False"),
        ({"rounding": 0}, "option 'rounding': 0"),
        ({"input_scale": True}, "option 'input_scale': True"),
        ({"bn": ["threshold"]}, "option 'bn'"),
        ({"base": np.ones(2)}, "option 'base'"),
        ({"method": ["qcfs"]}, "option 'method'"),
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
    found = rf"^module '{layer}' \(Linear\): parameter 'weight' holds 1 of \d+ values that are NaN or infinite"
    with pytest.raises(ExportError, match=found) as error:
        nirbridge.convert(net, data())
    one_line(error)


def test_every_tensor_that_is_not_finite_is_one_line() -> None:
    net = with_statistics(Cnn())
    with torch.no_grad():
        net.conv1.weight[0, 0, 0] = float("nan")
        net.bn2.running_var[:2] = float("inf")
    with pytest.raises(ExportError) as error:
        nirbridge.convert(net, np.ones((2, 1, 8, 8)))
    found = [(problem.where, problem.found) for problem in error.value.problems]
    assert found == [
        ("module 'conv1' (Conv2d)", "parameter 'weight' holds 3 of 108 values that are NaN or infinite"),
        ("module 'bn2' (BatchNorm2d)", "buffer 'running_var' holds 2 of 12 values that are NaN or infinite"),
    ]


def test_constants_and_quantised_networks_are_looked_at_too() -> None:
    with pytest.raises(ExportError, match=r"^node 'mul' \(Scale\): its scale comes to 4 of 4 values that are NaN"):
        nirbridge.convert(Functions(lambda x: x * float("nan")), data())
    normed = with_statistics(Mlp())
    normed.bn.running_var[3] = -1
    found = r"^module 'bn' \(BatchNorm1d\): its scale comes to 1 of 48 values that are NaN or infinite"
    with np.errstate(invalid="ignore"), pytest.raises(ExportError, match=found) as error:
        nirbridge.convert(normed, np.ones((2, 1, 8, 8)))
    one_line(error)
    net = nn.Sequential(nn.Linear(4, 6), QCFS(4), nn.Linear(6, 3))
    with torch.no_grad():
        net[2].bias[1] = float("inf")
    with pytest.raises(ExportError, match=r"^module '2' \(Linear\): parameter 'bias' holds 1 of 3 values"):
        nirbridge.convert(net, data(), "qcfs")


def test_what_the_network_does_not_use_may_hold_anything() -> None:
    model = Functions(functional.relu)
    model.auxiliary = nn.Linear(4, 4)
    with torch.no_grad():
        model.auxiliary.weight.fill_(float("nan"))
    assert convert_in_full(model, data()).layers


def test_the_network_is_left_as_it_was() -> None:
    net = with_statistics(Cnn())
    net.train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    convert_in_full(net, np.random.default_rng(0).random((8, 1, 8, 8)))
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name])
