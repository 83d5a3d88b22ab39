"""ResNet-20 with the parameter-free shortcut of the CIFAR ResNets (option A): every second place, zero channels."""

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
from nirbridge.converting import measure
from nirbridge.converting.analog import analog_graph
from nirbridge.converting.evaluate import functions, values
from nirbridge.errors import ExportError
from nirbridge.neurons import QCFS
from tests.converting.networks import with_statistics
from tests.converting.published import convert_in_full
from tests.converting.test_networks import FINE, fine_error, images
from tests.converting.test_one_spike_exact import assert_equal_codes, binary, decoded, encoded


class Lambda(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Block(nn.Module):
    """A basic block; where shapes change its shortcut drops places and adds channels that are zero."""

    def __init__(self, inner: int, outer: int, stride: int, activation: Callable[[], nn.Module]) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.act1, self.act2 = activation(), activation()
        self.shortcut = nn.Sequential()
        if stride != 1:
            sides = (0, 0, 0, 0, outer // 4, outer // 4)
            self.shortcut = Lambda(lambda x: functional.pad(x[:, :, ::2, ::2], sides, "constant", 0))

    def forward(self, x: Tensor) -> Tensor:
        out = self.act1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return self.act2(out)


class OptionA(nn.Module):
    """6 n + 2 layers in three stages, as the paper on residual learning has them for CIFAR."""

    def __init__(self, blocks: int = 3, width: int = 16, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), activation()
        widths = [width * 2**stage for stage in range(3) for _ in range(blocks)]
        inner = [width, *widths]
        self.blocks = nn.Sequential(
            *(
                Block(before, after, 1 + (before != after), activation)
                for before, after in zip(inner, widths, strict=False)
            )
        )
        self.fc = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.act(self.bn(self.conv(x))))
        return self.fc(functional.avg_pool2d(x, x.size(3)).view(x.size(0), -1))


class Encoded(nn.Module):
    """What one spike says of relu(x)."""

    def __init__(self, scale: np.ndarray, base: float, phases: int) -> None:
        super().__init__()
        self.scale, self.base, self.phases = scale, base, phases

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(encoded(x.numpy(), self.scale, self.base, self.phases))


@pytest.mark.parametrize("runtime", ["reference", "norse"])
def test_resnet20_equals_encoding_each_relu(runtime: str) -> None:
    torch.manual_seed(0)
    net = with_statistics(OptionA().double())
    x = images(2, 3, 32, 32)
    conversion = convert_in_full(net, x, phases=16, base=1.3, averages="linear")
    assert conversion.latency.depth == 19
    found, logits = decoded(conversion, x, runtime)
    for layer in conversion.layers:
        net.set_submodule(layer.name, Encoded(layer.scale, 1.3, 16))
    expected: dict[str, np.ndarray] = {}
    for layer in conversion.layers:
        inner = net.get_submodule(layer.name)
        inner.register_forward_hook(lambda m, args, y, name=layer.name: expected.update({name: y.numpy()}))
    with torch.no_grad():
        answer = net(torch.as_tensor(binary(x, float(np.abs(x).max()), 16))).numpy()
    assert len(expected) == 19
    for name, codes in expected.items():
        assert_equal_codes(found[name], codes)
    np.testing.assert_allclose(logits, answer, rtol=1e-9, atol=1e-12)


def test_the_shortcut_is_one_convolution() -> None:
    torch.manual_seed(0)
    graph = convert_in_full(with_statistics(OptionA(1, 4)), images(4, 3, 8, 8)).graph
    node = graph.nodes["blocks.1.shortcut.pad"]
    assert type(node) is nir.Conv2d
    assert node.weight.shape == (8, 4, 1, 1)
    assert tuple(node.stride) == (2, 2)
    assert not [name for name in graph.nodes if "getitem" in name]


def test_error_falls_with_the_phases_and_qcfs_is_exact() -> None:
    torch.manual_seed(0)
    x = images(4, 3, 8, 8)
    assert fine_error(with_statistics(OptionA(1, 4), negative=True), x) < 0.03
    net = with_statistics(OptionA(1, 4, lambda: QCFS(4, 1.5)).double())
    for steps in (1, 2):
        assert measure(convert_in_full(net, x, "qcfs", steps=steps), x).output_error < 1e-12


class Front(nn.Module):
    """Something of one line in front of a convolution over whatever it gives."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.first, self.function = nn.Conv2d(2, 2, 1), function
        self.conv, self.fc = nn.LazyConv2d(4, 3), nn.LazyLinear(3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.function(functional.relu(self.first(x)))
        return self.fc(functional.relu(self.conv(x)).flatten(1))


LINEAR = {
    "both sides": lambda x: functional.pad(x, (1, 1, 2, 2)),
    "unlike sides": lambda x: functional.pad(x, (0, 1, 3, 1)),
    "channels and places": lambda x: functional.pad(x, (2, 0, 0, 1, 1, 2)),
    "every third": lambda x: x[..., ::3, ::2],
    "one axis": lambda x: x[:, :, ::2],
    "everything": lambda x: x[:],
    "padded, then sliced": lambda x: functional.pad(x, (1, 1, 1, 1), value=0.0)[:, :, ::2, ::2],
    "module": nn.ZeroPad2d((1, 0, 0, 1)),
    "constant module": nn.ConstantPad2d(1, 0.0),
    "copies of one place": lambda x: functional.adaptive_avg_pool2d(functional.adaptive_avg_pool2d(x, 1), (3, 5)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_slices_and_padding_are_exact(name: str) -> None:
    torch.manual_seed(0)
    net, x = Front(LINEAR[name]).double(), images(5, 2, 8, 9, signed=False)
    with torch.no_grad():
        net(torch.as_tensor(x))
        net.conv.bias.fill_(0.5)
        expected = net(torch.as_tensor(x))
        graph, whole = analog_graph(net, x.shape[1:]), torch.as_tensor(x)
        found = next(y for node, _, y in values(graph, functions(graph, whole.dtype), whole) if node == "output")
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    conversion = convert_in_full(net, x, phases=16, base=1.3)
    assert conversion.analog is not None
    run = functions(conversion.analog, torch.float64)
    for layer in conversion.layers:
        run[layer.name] = nn.Sequential(Lambda(run[layer.name]), Encoded(layer.scale, 1.3, 16))
    code = torch.as_tensor(binary(x, float(x.max()), 16))
    with torch.no_grad():
        answer = next(y for node, _, y in values(conversion.analog, run, code) if node == "output").numpy()
    np.testing.assert_allclose(decoded(conversion, x)[1], answer, rtol=1e-9, atol=1e-12)


def test_one_dimension() -> None:
    torch.manual_seed(0)
    layers = nn.Conv1d(2, 4, 3), nn.ReLU(), Lambda(lambda x: x[:, :, ::2]), nn.ZeroPad1d((2, 1)), nn.Conv1d(4, 3, 3)
    net = nn.Sequential(*layers, nn.ReLU(), nn.Flatten(), nn.Linear(24, 2))
    assert fine_error(net, images(5, 2, 16, signed=False)) < 0.02


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x[:, None], r"'getitem' moves .* \(2, 8, 8\) to \(1, 2, 8, 8\), which no node does"),
        (lambda x: x[::2], "function 'getitem' in .*takes parts of time or batch"),
        (lambda x: functional.pad(x, (1, 1), value=0.5), r"function 'pad' in .*pads with 0.5; graphs pad with zeros"),
        (lambda x: functional.pad(x, (1, 1), "reflect"), "pads by mode 'reflect'"),
        (lambda x: functional.pad(x, (-1, 1)), r"pads by \(-1, 1\)"),
        (lambda x: functional.pad(x, (0, 0, 0, 0, 0, 0, 1, 1)), "pads the time or batch axis"),
        (lambda x: functional.pad(x.flatten(1), (1, 1)), r"pads features of shape \(128,\)"),
        (nn.ConstantPad2d(1, 2.0), "pads with 2"),
        (nn.ReflectionPad2d(1), r"module 'function' \(ReflectionPad2d\)"),
        (lambda x: functional.adaptive_max_pool2d(x, 16), r"takes maxima of \(8, 8\) places at \(16, 16\)"),
    ],
)
def test_other_slices_and_padding_are_refused(function: Any, expected: str) -> None:
    with pytest.raises(ExportError, match=expected) as error:
        convert_in_full(Refused(function), images(2, 2, 8, 8))
    assert len(error.value.problems) == 1


class Refused(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.conv, self.function = nn.Conv2d(2, 2, 1), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(functional.relu(self.conv(x)))


def test_vgg16_on_small_pictures_copies_its_last_place() -> None:
    """torchvision's VGG-16 pools (512, 1, 1), which pictures of 32 x 32 leave, to (512, 7, 7)."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(8), nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten()
    net = nn.Sequential(*layers, nn.Linear(196, 6), nn.ReLU(), nn.Linear(6, 3)).double()
    x = images(6, 1, 8, 8, signed=False)
    conversion = convert_in_full(net, x, **FINE)
    assert measure(conversion, x).output_error < 0.02
    with nirbridge.compile(conversion.graph) as program:
        copies = program.run(x[None], record=["3"]).records["3"]
    assert copies.shape[-2:] == (7, 7)
    np.testing.assert_array_equal(copies, np.broadcast_to(copies[..., :1, :1], copies.shape))
