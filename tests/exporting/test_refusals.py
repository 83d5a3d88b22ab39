"""What has no counterpart in a graph is refused by name, with the reason; everything in one error."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from nirbridge.errors import ExportError, GraphError, InputError, NirbridgeError
from nirbridge.exporting import export
from nirbridge.ir import EventInput
from nirbridge.neurons import QCFS, MultiLevelLIF, OverTime


class Code(nn.Module):
    """A network whose forward is a function."""

    def __init__(self, function: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function
        self.conv = nn.Conv2d(2, 2, 3, padding=1)
        self.identity = nn.Identity()
        self.parallel = nn.DataParallel(nn.Identity())
        self.act = MultiLevelLIF(2)
        self.register_buffer("calls", torch.tensor(1.0))
        self.elsewhere = SimpleNamespace()

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(self, x)


def _loop(net: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([net.conv(x[t]) for t in range(x.shape[0])])


def _overwrites(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    z = y
    y += x
    return z + y


def _overwrites_view(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    part = y[:, :1]
    part *= 2
    return y


def _overwrites_viewed(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    first, _ = y.chunk(2, 1)
    y.mul_(2)
    return first


def _overwrites_identity(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    kept = net.identity(y)
    y += net.conv(kept)
    return y + kept


def _overwrites_dropped(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    kept = functional.dropout(y, training=net.training)
    kept += x
    return y + kept


def _overwrites_what_a_container_gave(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = net.conv(x)
    kept = net.parallel(y)
    kept *= 2
    return y + kept


def _keeps(net: Any, x: torch.Tensor) -> torch.Tensor:
    net.kept = net.conv(x) + 0.5 * getattr(net, "kept", 0.0)
    return net.kept


def _counts_calls(net: Any, x: torch.Tensor) -> torch.Tensor:
    net.times = getattr(net, "times", 0) + 1
    return net.conv(x) if net.times == 1 else x


def _swaps_arguments(net: Any, x: torch.Tensor) -> torch.Tensor:
    net.times = getattr(net, "times", 0) + 1
    size, factor = (None, 2) if net.times == 1 else (2, None)
    return functional.interpolate(x, size, factor)


def _counts_elsewhere(net: Any, x: torch.Tensor) -> torch.Tensor:
    net.elsewhere.times = getattr(net.elsewhere, "times", 0) + 1
    return net.conv(x) if net.elsewhere.times == 1 else x


def _counts_after(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = x * net.calls
    net.calls += 1
    return y


def _fires_after(net: Any, x: torch.Tensor) -> torch.Tensor:
    y = x * net.calls
    net.calls = (y > 1).float()
    return y


def _delays(net: Any, x: torch.Tensor) -> torch.Tensor:
    before, net.last = getattr(net, "last", None), net.conv(x)
    return net.last if before is None else before


def _autocast(net: Any, x: torch.Tensor) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return net.conv(x)


def _trains(net: Any, x: torch.Tensor) -> torch.Tensor:
    return functional.dropout(x, training=net.training) + net.identity.train()(x)


def _asks_the_class(net: Any, x: torch.Tensor) -> torch.Tensor:
    if x.__class__ is torch.Tensor:
        return net.conv(x)
    return x


def _matches(net: Any, x: torch.Tensor) -> torch.Tensor:
    match x:
        case torch.Tensor():
            return net.conv(x)
    return x


def _raises(net: Any, x: torch.Tensor) -> torch.Tensor:
    raise KeyError("no such layer")


CODE: dict[str, tuple[Callable[[Any, torch.Tensor], Any], str]] = {
    "hstack": (lambda net, x: torch.hstack([x, x]), "function 'hstack' in Code (test_refusals.py:"),
    "stack": (lambda net, x: torch.stack([x, x]), "'stack' in Code"),
    "relu": (lambda net, x: functional.relu(net.conv(x)), "nirbridge convert"),
    "method relu": (lambda net, x: net.conv(x).relu(), "nirbridge convert"),
    "sigmoid": (lambda net, x: torch.sigmoid(x), "function 'sigmoid'"),
    "product of unlike axes": (lambda net, x: x * net.conv(x).sum((2, 3)), "Give both as many axes"),
    "product that does not broadcast": (lambda net, x: x * functional.max_pool2d(x, 2), "which do not broadcast"),
    "quotient": (lambda net, x: x / net.conv(x), "divides by a tensor"),
    "constant sum": (lambda net, x: net.conv(x) + 1, "adds a constant"),
    "wide zeros": (
        lambda net, x: net.conv(x) + torch.zeros(3, 2, 6, 6),
        "adds zeros of shape (3, 2, 6, 6) to features",
    ),
    "zeros that broadcast": (lambda net, x: x.sum((2, 3), keepdim=True) + torch.zeros(2, 6, 6), "would broadcast"),
    "wide factor": (lambda net, x: x * torch.ones(4, 1), "by a constant of shape (4, 1)"),
    "broadcast sum": (lambda net, x: x + x.mean((2, 3), keepdim=True), "edges that add up bring equal shapes"),
    "permute": (
        lambda net, x: x.permute(0, 2, 3, 1),
        "moves or takes parts of features, (2, 6, 6) to",
    ),
    "matmul": (lambda net, x: x @ x, "multiplies matrices"),
    "part of the batch": (lambda net, x: x[:2], "moves or takes parts of time or batch of [T*B, ...]"),
    "chunk of the batch": (lambda net, x: x.chunk(2)[0], "function 'chunk' in Code (test_refusals.py:"),
    "unsqueeze": (lambda net, x: x.unsqueeze(1), "'unsqueeze' moves or takes parts of features, (2, 6, 6) to (1, 2, 6"),
    "no such part": (lambda net, x: x.chunk(3, 7)[0], "Dimension out of range"),
    "no such piece": (lambda net, x: x.split(6, 3)[1], "takes number 1 of 1 tensors"),
    "no such axis": (lambda net, x: x.mean(4), "takes axis 4 of [T*B, ...] with features (2, 6, 6), which has 4"),
    "no such size": (lambda net, x: x.flatten(x.size(4)), "takes axis 4 of [T*B, ...] with features (2, 6, 6)"),
    "divided by nothing": (lambda net, x: x / 0.0, "divides by 0"),
    "no such axis to flatten": (lambda net, x: x.flatten(5), "takes axis 5 of"),
    "an axis twice": (lambda net, x: x.sum((3, -1)), "names an axis twice, of axes (3, -1)"),
    "axes backwards": (lambda net, x: x.flatten(3, 1), "the first stands behind the last"),
    "comparison": (lambda net, x: x > 0, "compares values"),
    "condition": (lambda net, x: x if net.conv(x).sum() > 0 else -x, "control flow depends on the data at test_ref"),
    "loop over steps": (_loop, "depends on the number of steps or samples at test_refusals.py:"),
    "loop over half the samples": (
        lambda net, x: next(net.conv(x) for _ in range(x.shape[0] // 2)),
        "depends on the number of steps or samples at test_refusals.py:",
    ),
    "condition on the samples": (
        lambda net, x: x if x.shape[0] > 100 else -x,
        "control flow depends on the number of steps or samples at test_refusals.py:",
    ),
    "condition on their remainder": (lambda net, x: x if x.shape[0] % 4 == 0 else -x, "number of steps or samples at"),
    "divided by the samples": (lambda net, x: x / x.shape[0], "computes with the number of steps or samples"),
    "times less than a sample": (lambda net, x: x * (1 / (x.size(0) + 1)), "computes with the number of steps"),
    "as many times added": (lambda net, x: torch.add(x, x, alpha=x.shape[0]), "computes with the number of steps"),
    "loop over a tensor": (lambda net, x: sum(row for row in x), "iterates over a tensor at test_refusals.py:"),
    "readout": (lambda net, x: net.conv(x).mean(0), "reduces the time or batch axis"),
    "channel mean": (lambda net, x: x.mean(1), "reduces axes (1,) of features (2, 6, 6)"),
    "reshape": (lambda net, x: x.reshape(x.shape[0], 3, 24), "reshapes, (2, 6, 6) to (3, 24), which no node does"),
    "reshape with batch": (lambda net, x: x.flatten(0), "mixes time or batch with the features"),
    "dropout that stays": (lambda net, x: functional.dropout(x), "at random in evaluation too"),
    "noise that stays": (lambda net, x: x * torch.rand(2, 6, 6), "draws random numbers in evaluation too"),
    "a tensor kept": (_keeps, "module Code: what it does changes from call to call at test_refusals.py:"),
    "calls counted": (_counts_calls, "module Code: what it does changes from call to call. Leave states to neurons"),
    "arguments swapped": (_swaps_arguments, "what it does changes from call to call at test_refusals.py:"),
    "calls counted in a buffer": (_counts_after, "what it does changes from call to call at test_refusals.py:"),
    "spikes kept in a buffer": (_fires_after, "what it does changes from call to call at test_refusals.py:"),
    "sum into a tensor": (lambda net, x: torch.zeros(2, 6, 6).add_(net.conv(x)), "a tensor of the module in place"),
    "a tensor for a state": (lambda net, x: x + torch.zeros_like(x), "makes a tensor of the size of another"),
    "a tensor of the call before": (_delays, "module Code: what it does changes from call to call. Leave states to"),
    "noise of Python": (lambda net, x: x * random.random(), "what it does changes from call to call at"),
    "the class of a tensor": (_asks_the_class, "goes another way at test_refusals.py:"),
    "a match of a tensor": (_matches, "goes another way at test_refusals.py:"),
    "autocast": (_autocast, "computes in lower precision, by torch.autocast at test_refusals.py:"),
    "training in forward": (_trains, "module 'identity' (Identity): is put into training mode by forward"),
    "values set": (lambda net, x: setattr(net.conv(x), "data", x), "sets '.data' of a tensor at test_refusals.py:"),
    "a number of a tensor": (lambda net, x: x * float(x.sum((2, 3))), "takes a number from a tensor at"),
    "half": (lambda net, x: x.to(torch.float16), "rounds the values"),
    "overwriting": (_overwrites, "in place that is also used under another name"),
    "overwriting a view": (_overwrites_view, "in place that is also used under another name"),
    "overwriting what is viewed": (_overwrites_viewed, "in place that is also used under another name"),
    "overwriting what nn.Identity gave": (_overwrites_identity, "in place that is also used under another name"),
    "overwriting through a dropout": (_overwrites_dropped, "in place that is also used under another name"),
    "overwriting what a container gave": (
        _overwrites_what_a_container_gave,
        "in place that is also used under another",
    ),
    "overwriting its input": (lambda net, x: net.conv(x.mul_(2)), "in place that is also used under another name"),
    "overwriting a parameter": (lambda net, x: net.conv.weight.mul_(2).sum() * x, "a tensor of the module in place"),
    "an error of its own": (_raises, "forward cannot be traced at test_refusals.py:"),
    "no tensor": (lambda net, x: 3, "returns a int"),
    "too much": (lambda net, x: (x, 3), "does not return one tensor"),
    "attribute": (lambda net, x: x.T, "reads '.T'"),
    "unknown argument": (lambda net, x: functional.max_pool2d(x, 2, return_indices=True), "max_pool2d"),
    "other keyword": (lambda net, x: x.sum((2, 3), dtype=torch.float64), "in a way that export does not know"),
    "batch statistics": (
        lambda net, x: functional.batch_norm(x, torch.zeros(2), torch.ones(2), training=True),
        "statistics of the batch",
    ),
}


@pytest.mark.parametrize("name", CODE)
def test_code(name: str) -> None:
    function, text = CODE[name]
    with pytest.raises(ExportError) as caught:
        export(OverTime(Code(function)), (2, 6, 6))
    assert text in str(caught.value)
    assert all("\n" not in str(problem) for problem in caught.value.problems)


@pytest.mark.parametrize("function", [_keeps, _counts_calls, _counts_after, _delays, _counts_elsewhere])
def test_code_that_changes_from_call_to_call_is_refused_without_over_time(function: Callable[..., Any]) -> None:
    """It is read in two ways then, and the second must not find what the first left behind."""
    with pytest.raises(ExportError, match="changes from call to call"):
        export(Code(function), (2, 6, 6))


def _sparse() -> nn.Module:
    layer = nn.Linear(6, 2)
    layer.weight = nn.Parameter(layer.weight.detach().to_sparse())
    return layer


class OwnNeuron(MultiLevelLIF):
    pass


LAYERS: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "ReLU": (nn.ReLU, "'nirbridge convert'"),
    "QCFS": (lambda: QCFS(4), "'nirbridge convert'"),
    "GELU": (nn.GELU, "module '0' (GELU): is an analog activation"),
    "LSTM": (lambda: nn.Conv3d(2, 2, 1), "module '0' (Conv3d): is a type of layer that a graph does not have"),
    "own statistics": (lambda: nn.GroupNorm(1, 2), "(GroupNorm): normalises each input by its own statistics"),
    "transposed, cut": (lambda: nn.ConvTranspose2d(2, 2, 1, padding=3), "cuts off more than there is"),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), "mode 'bilinear' interpolates"),
    "subclass": (OwnNeuron, "is a subclass of MultiLevelLIF"),
    "padding mode": (lambda: nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), "padding_mode 'circular'"),
    "channels": (lambda: nn.Conv2d(3, 2, 3), "input (2, 6, 6) has 2 channels, the weight takes 3"),
    "too small": (lambda: nn.MaxPool2d(7), "is smaller than the window"),
    "indices": (lambda: nn.MaxPool2d(2, return_indices=True), "returns indices"),
    "pool dilation": (lambda: nn.MaxPool2d(2, dilation=2), "dilation (2, 2)"),
    "ceil": (lambda: nn.MaxPool2d(4, ceil_mode=True), "size (6, 6), kernel (4, 4), stride (4, 4)"),
    "no window": (lambda: nn.AvgPool2d(7, divisor_override=3), "is smaller than the window"),
    "uneven": (lambda: nn.AdaptiveMaxPool2d(4), "takes maxima of (6, 6) places at (4, 4)"),
    "batch statistics": (lambda: nn.BatchNorm2d(2, track_running_stats=False), "statistics of the batch"),
    "channels of norm": (lambda: nn.BatchNorm2d(3), "has 2 channels, it normalises 3"),
    "rows": (lambda: nn.Linear(5, 2), "does not end with the 5 columns"),
    "threshold": (lambda: MultiLevelLIF(2, threshold=torch.ones(3, 1, 1)), "does not broadcast to features (2, 6, 6)"),
    "unflatten": (lambda: nn.Unflatten(1, (2, 1)), "splits axis 1 into (2, 1)"),
    "sparse weight": (_sparse, "torch.sparse_coo"),
    "padding of a pool": (lambda: nn.MaxPool2d(2, padding=2), "module '0' (MaxPool2d): padding [2 2] exceeds half of"),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    build, text = LAYERS[name]
    with pytest.raises(ExportError) as caught:
        export(OverTime(nn.Sequential(build())), (2, 6, 6))
    assert text in str(caught.value)


def test_hooks_are_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 3))
    net[0].register_forward_hook(lambda module, args, y: y + 1)
    with pytest.raises(ExportError, match="module '0' .Linear.: has forward hooks"):
        export(net, (3,))
    whole = nn.Sequential(nn.Linear(3, 3))
    whole.register_forward_pre_hook(lambda module, args: args)
    with pytest.raises(ExportError, match="module Sequential: has forward hooks"):
        export(whole, (3,))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_hooks_of_containers_are_refused(wrap: Callable[[nn.Module], nn.Module]) -> None:
    net = wrap(nn.Linear(3, 3))
    net.register_forward_hook(lambda module, args, y: 2 * y)
    with pytest.raises(ExportError, match=f"module {type(net).__name__}: has forward hooks"):
        export(net, (3,))


def test_a_forward_set_on_the_object_is_refused() -> None:
    net = nn.Sequential(nn.Linear(3, 3))
    net[0].forward = lambda x: 2 * x
    with pytest.raises(ExportError, match="module '0' .Linear.: has a forward that was set on the object"):
        export(net, (3,))
    whole = nn.Sequential(nn.Linear(3, 3))
    whole.forward = lambda x: 2 * whole[0](x)
    with pytest.raises(ExportError, match="module Sequential: has a forward that was set on the object"):
        export(whole, (3,))


class Doubled(nn.Linear):
    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().__call__(x)


@pytest.mark.parametrize("wrap", [lambda net: net, OverTime])
def test_a_call_of_its_own_is_refused(wrap: Callable[[nn.Module], nn.Module]) -> None:
    with pytest.raises(ExportError, match="module Doubled: has a __call__ of its own"):
        export(wrap(Doubled(3, 3)), (3,))


def test_hooks_of_all_modules_are_refused() -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, y: 2 * y)
    try:
        with pytest.raises(ExportError, match="module Sequential: has forward hooks"):
            export(nn.Sequential(nn.Linear(3, 3)), (3,))
    finally:
        handle.remove()


def test_all_problems_come_at_once_and_once() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding_mode="reflect", padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(5),
        nn.Sequential(nn.Softmax(1), nn.Conv3d(4, 4, 2)),
    )
    with pytest.raises(ExportError) as caught:
        export(OverTime(net), (2, 6, 6))
    lines = str(caught.value).split("\n")
    assert [line.split(":")[0] for line in lines] == [
        "module '0' (Conv2d)",
        "module '1' (ReLU)",
        "module '3.0' (Softmax)",
        "module '3.1' (Conv3d)",
    ]


def test_time_and_batch_must_not_be_mistaken() -> None:
    with pytest.raises(ExportError, match="OverTime"):
        export(nn.Sequential(OverTime(nn.Flatten()), nn.Conv2d(2, 2, 3)), (2, 6, 6))
    with pytest.raises(ExportError, match="mixes time or batch"):
        export(nn.Sequential(OverTime(MultiLevelLIF()), nn.Flatten(1), nn.Linear(72, 2)), (2, 6, 6))


def test_code_that_reads_two_ways_is_refused() -> None:
    class Ambiguous(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2 if x.ndim == 4 else x * 3

    with pytest.raises(ExportError, match="different graphs"):
        export(nn.Sequential(Ambiguous(), MultiLevelLIF()), (2, 6, 6))


ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "no module": ({"module": 3}, "is a int, not a torch module"),
    "no shape": ({"input_shape": None}, "'input_shape': is missing"),
    "shape of text": ({"input_shape": "2,3"}, "positive whole numbers"),
    "negative shape": ({"input_shape": (2, -3)}, "positive whole numbers"),
    "fractional shape": ({"input_shape": (2.5,)}, "positive whole numbers"),
    "empty shape": ({"input_shape": ()}, "positive whole numbers"),
    "dt": ({"dt": 0.0}, "'dt': 0.0 is not a positive number"),
    "dt of text": ({"dt": "1ms"}, "is not a positive number"),
    "node": ({"input_shape": None, "input_node": nn.Linear(3, 3)}, "is a Linear, expected"),
    "two shapes": (
        {"input_node": EventInput(shape=(2, 4, 4), sensor_size=(4, 4), window=1000)},
        "differs from the shape (2, 4, 4)",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(name: str) -> None:
    given, text = ARGUMENTS[name]
    with pytest.raises(InputError) as caught:
        export(**{"module": nn.Linear(3, 3), "input_shape": (3,), **given})
    assert text in str(caught.value)


def test_a_forward_of_two_tensors_needs_their_names() -> None:
    class Two(nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left + right

    with pytest.raises(ExportError, match="missing a required argument: 'right'"):
        export(Two(), (3,))
    with pytest.raises(ExportError, match="unexpected keyword argument 'top'"):
        export(Two(), {"left": (3,), "right": (3,), "top": (3,)})
    assert [edge[0] for edge in export(Two(), {"left": (3,), "right": (3,)}).edges] == ["left", "right"]


def test_lazy_modules_are_exported_once_they_have_weights() -> None:
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    with pytest.raises(ExportError, match="module '0' .LazyLinear.: has no weights yet"):
        export(net, (4,))
    net(torch.ones(2, 4))
    assert list(export(net, (4,)).nodes) == ["input", "0", "output"]


def test_nan_in_a_weight_is_named() -> None:
    net = nn.Sequential(nn.Linear(3, 3))
    with torch.no_grad():
        net[0].weight[1, 2] = float("nan")
    with pytest.raises(GraphError, match="node '0' .Affine.: 1 of 9 values of weight are NaN"):
        export(net, (3,))
    assert issubclass(ExportError, NirbridgeError)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python tells the lines alone")
def test_a_branch_within_a_line_is_seen() -> None:
    class Net(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) if type(x) is torch.Tensor else x

    with pytest.raises(ExportError, match="its code goes another way at test_refusals.py:.* when export reads it"):
        export(Net(3, 3), (3,))
