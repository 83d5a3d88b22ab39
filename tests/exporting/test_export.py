"""What export promises beside the values: names, dtypes, files, an untouched module."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.errors import ExportError
from nirbridge.exporting import export
from nirbridge.ir import EventInput, graph_differences
from nirbridge.neurons import LMHT, MultiLevelIF, MultiLevelLIF, OverTime
from tests.exporting.running import compare, dyadic, make_dyadic, randomise_statistics


def _everything(dtype: torch.dtype) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), groups=2),
        nn.BatchNorm2d(4),
        MultiLevelLIF(3, threshold=torch.full((4, 1, 1), 0.5), learn_decay=True),
        nn.MaxPool2d(2),
        nn.Dropout(),
        nn.Conv2d(4, 4, 1, bias=False),
        nn.BatchNorm2d(4),
        MultiLevelIF(2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
        LMHT(2, 4, 0.5),
    )
    return OverTime(randomise_statistics(net).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes_are_kept(dtype: torch.dtype) -> None:
    graph = export(_everything(dtype), (2, 8, 8))
    expected = np.float32 if dtype is torch.float32 else np.float64
    for node in graph.nodes.values():
        for name, value in vars(node).items():
            array = np.asarray(value) if isinstance(value, (np.ndarray, np.generic, float)) else np.zeros(0, expected)
            assert array.dtype.kind != "f" or array.dtype == expected, (type(node), name)


def test_folding_is_done_in_double_precision() -> None:
    net = _everything(torch.float32)
    conv, norm = net.module[0], net.module[1]
    graph = export(net, (2, 8, 8))
    wide = {key: value.detach().double() for key, value in norm.state_dict().items()}
    factor = wide["weight"] / torch.sqrt(wide["running_var"] + norm.eps)
    weight = (conv.weight.detach().double() * factor[:, None, None, None]).float()
    bias = ((conv.bias.detach().double() - wide["running_mean"]) * factor + wide["bias"]).float()
    np.testing.assert_array_equal(graph.nodes["0"].weight, weight.numpy())
    np.testing.assert_allclose(graph.nodes["0"].bias, bias.numpy(), rtol=1e-7, atol=1e-8)


def test_the_file_is_exact(tmp_path: Path) -> None:
    graph = export(_everything(torch.float32), (2, 8, 8), metadata={"trained_on": "nothing", "epochs": 3})
    nirbridge.write(tmp_path / "net.nir", graph)
    assert graph_differences(nirbridge.read(tmp_path / "net.nir"), graph) == []
    assert graph.metadata == {"trained_on": "nothing", "epochs": 3}


def test_a_graph_of_core_nodes_is_read_by_nir_itself(tmp_path: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, padding=1)
            self.pool = nn.AvgPool2d(2)
            self.fc = nn.Linear(4 * 4 * 4, 3, bias=False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.conv(x)
            return self.fc((self.pool(y + y) * 0.5).flatten(1)) / 3

    nirbridge.write(tmp_path / "net.nir", export(Net(), (2, 8, 8)))
    found = nir.read(tmp_path / "net.nir")
    assert {type(node).__name__ for node in found.nodes.values()} == {
        "Input", "Output", "Conv2d", "AvgPool2d", "Flatten", "Linear", "Scale"
    }  # fmt: skip


def _fingerprint(module: nn.Module) -> dict[str, Any]:
    tensors = {name: value.clone() for name, value in module.state_dict().items()}
    flags = {name: inner.training for name, inner in module.named_modules()}
    attributes = {
        name: {key: id(value) for key, value in vars(inner).items()} for name, inner in module.named_modules()
    }
    return {"tensors": tensors, "flags": flags, "attributes": attributes}


class Careless(nn.Module):
    """Leaves things behind on itself when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.seen: list[Any] = []
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = x
        self.seen.append(x)
        return self.norm(self.fc(x)) * torch.tensor([1.0, 2.0, 4.0])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("build", [lambda: _everything(torch.float32), lambda: OverTime(Careless())])
def test_the_module_is_left_as_it_was(build: Any, training: bool) -> None:
    net = build().train(training)
    before = _fingerprint(net)
    graph = export(net, (2, 8, 8) if isinstance(net.module, nn.Sequential) else (3,))
    after = _fingerprint(net)
    assert before["flags"] == after["flags"]
    assert before["attributes"] == after["attributes"]
    for name, value in before["tensors"].items():
        torch.testing.assert_close(after["tensors"][name], value, rtol=0, atol=0)
    if isinstance(net.module, Careless):
        assert net.module.seen == []
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(7.0)
    weights = [node.weight for node in graph.nodes.values() if type(node) in (nir.Affine, nir.Conv2d)]
    assert all((weight != 7.0).all() for weight in weights), "the graph holds copies"


def test_a_module_in_training_mode_is_exported_as_in_evaluation() -> None:
    net = _everything(torch.float64).train()
    compare(net, dyadic(4, 3, 2, 8, 8))


def test_names_are_the_paths_of_the_modules() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input = nn.Linear(4, 4)
            self.blocks = nn.ModuleDict({"a/b": nn.Sequential(nn.Linear(4, 4), MultiLevelLIF())})
            self.output = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.output(self.blocks["a/b"](self.input(x)))

    graph = export(Net(), (4,))
    assert list(graph.nodes) == ["graph_input", "input", "blocks.a_b.0", "blocks.a_b.1", "output", "graph_output"]


@pytest.mark.parametrize(
    ("module", "name"), [(nn.Linear(4, 2), "affine"), (MultiLevelLIF(), "multilevellif"), (nn.Dropout(), None)]
)
def test_a_single_layer(module: nn.Module, name: str | None) -> None:
    assert list(export(module, (4,)).nodes) == ["input", *([name] if name else []), "output"]


def test_functions_and_second_calls_leave_modules_their_names() -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mul, self.act, self.act_1 = nn.Linear(3, 3), MultiLevelLIF(2), MultiLevelIF(3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act_1(self.act(self.act(self.mul(2 * x))))

    graph = export(Named(), (3,))
    assert list(graph.nodes) == ["input", "mul_1", "mul", "act", "act_2", "act_1", "output"]
    assert type(graph.nodes["mul"]) is nir.Affine
    assert len(graph.nodes["act_1"].lane_weight) == 3


def test_an_event_input_begins_the_graph() -> None:
    camera = EventInput(shape=(2, 8, 8), sensor_size=(16, 16), window=5_000, coding="count")
    graph = export(_everything(torch.float32), input_node=camera)
    assert type(graph.nodes["input"]) is EventInput
    assert graph.nodes["input"].window == 5_000
    assert graph.nodes["input"] is not camera


def test_several_inputs_and_named_outputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 3)

        def forward(self, left: torch.Tensor, right: torch.Tensor, scale: float = 0.5) -> dict[str, torch.Tensor]:
            return {"sum": self.fc(left) + right, "half": right * scale}

    net = Two().double()
    graph = export(net, {"right": (3,), "left": (3,)})
    x, y = dyadic(4, 2, 3), dyadic(4, 2, 3, seed=1)
    with nirbridge.compile(graph) as program:
        found = program.run({"left": x.numpy(), "right": y.numpy()}).output
    with torch.no_grad():
        expected = net(x, y)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value.numpy(), rtol=1e-12)

    class Twice(Two):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> dict[Any, torch.Tensor]:  # type: ignore[override]
            return {1: self.fc(left), "1": right}

    with pytest.raises(ExportError, match="returns two outputs of one name, as 1 and '1'"):
        export(Twice(), {"right": (3,), "left": (3,)})


def test_weights_that_code_computes() -> None:
    net = nn.Sequential(nn.Linear(6, 4), MultiLevelLIF(2, threshold=0.25)).double()
    torch.nn.utils.parametrizations.weight_norm(net[0])
    with torch.no_grad():
        net[0].parametrizations.weight.original0.mul_(1.5)
    graph = compare(net, dyadic(4, 2, 6))
    np.testing.assert_array_equal(graph.nodes["0"].weight, net[0].weight.detach().numpy())

    class Standardised(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            centred = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return self._conv_forward(x, centred, self.bias)

    compare(
        OverTime(nn.Sequential(Standardised(2, 3, 3), MultiLevelLIF(2, threshold=0.25)).double()), dyadic(3, 2, 2, 5, 5)
    )


class Overwriting(nn.Module):
    """In-place operations on what nothing reads any more, and on a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.identity = nn.Linear(4, 4), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x)
        copied = y.clone()
        copied *= 2
        shortcut = self.identity(x)
        y += shortcut
        y = self.identity(y)
        y += copied
        return y.reshape(y.shape[0], -1).mul_(0.5)


class Reversible(nn.Module):
    """Two halves of a tensor, each changed by the other."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.first, self.second = nn.Linear(4, 4), nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.both(x).chunk(2, 1)
        one += self.first(other)
        other += self.second(one)
        parts = self.both(x).chunk(2, 1)
        left = parts[0]
        left += other
        return torch.cat([one, other, left, parts[1]], 1)


@pytest.mark.parametrize("kind", [Overwriting, Reversible])
def test_in_place_operations_on_memory_of_their_own(kind: type[nn.Module]) -> None:
    compare(OverTime(make_dyadic(kind())), dyadic(5, 3, 4))


class Looking(nn.Module):
    """Leaves in itself what others may look at, and a weight for the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.last, self.all = nn.Linear(4, 3), None, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "doubled"):
            self.doubled = self.linear.weight * 2
        self.last = nn.functional.linear(x, self.doubled)
        self.all.append(self.last)
        return self.last


@pytest.mark.parametrize("wrap", [OverTime, lambda net: net])
def test_what_forward_leaves_to_look_at_is_no_state(wrap: Callable[[nn.Module], nn.Module]) -> None:
    """Without OverTime the code is read twice, and the second reading must not find what the first left."""
    compare(wrap(make_dyadic(Looking())), dyadic(5, 3, 4))


class Counting(nn.Module):
    """Sizes of time and batch that say nothing of how many there are."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 3).double()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.linear(x.view(x.shape[0], -1))
        if x.shape[0] > 0 and not x.shape[0] < 1 and x.shape[0] == y.shape[0]:
            y = y * (x.numel() / x.size(0) if x.shape[-1] == 4 else x.shape[-1] * 3)
        return y


@pytest.mark.parametrize("features", [4, 2 * 1013])
def test_sizes_of_time_and_batch_that_cancel_are_no_numbers_of_them(features: int) -> None:
    """B stands as 1013 while code is read, and features may be a multiple of that."""
    compare(OverTime(Counting(features)), dyadic(5, 3, features), exact=False)


class Asking(nn.Module):
    """Asks what it is given, and changes a module for the time of a call; every answer but the right one is 0."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.chunk(2, 1)
        right = isinstance(x, torch.Tensor) and torch.is_tensor(x) and not isinstance(x, (list, tuple))
        right &= isinstance(parts, tuple) and isinstance(x.shape, torch.Size) and isinstance(x.size(1), int)
        right &= x.dtype == torch.float64 and not x.is_cuda and not hasattr(x, "tensors") and len(x.shape) == 4
        self.conv.stride = (2, 2)
        y = self.conv(x * math.sqrt(x.size(1) * x.ndim * x.dim() * 2))
        self.conv.stride = (1, 1)
        return y if right else 0 * y


def test_code_may_keep_what_it_works_out_once_for_all_modules() -> None:
    known: dict[int, float] = {}

    class Net(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.size(-1) not in known:
                known[x.size(-1)] = 0.5
            return super().forward(x) * known[x.size(-1)]

    compare(OverTime(make_dyadic(Net(4, 3))), dyadic(5, 3, 4))


def test_code_may_ask_what_it_is_given() -> None:
    compare(OverTime(make_dyadic(Asking())), dyadic(5, 3, 2, 4, 4))


def test_half_precision_modules_are_exported() -> None:
    net = nn.Linear(3, 2)
    for dtype, expected in ((torch.float16, np.float16), (torch.bfloat16, np.float32)):
        graph = export(net.to(dtype), (3,))
        assert graph.nodes["affine"].weight.dtype == expected
        np.testing.assert_array_equal(graph.nodes["affine"].weight, net.weight.detach().float().numpy())


def test_public_name() -> None:
    assert nirbridge.export is export
