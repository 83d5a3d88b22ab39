"""torch.cat over features: the graph gives what torch gives, by Place along axis 0 and by convolutions behind it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nirbridge
from nirbridge.errors import ExportError
from nirbridge.neurons import MultiLevelLIF, OverTime
from tests.exporting.running import dyadic, make_dyadic, run_graph


class Code(nn.Module):
    def __init__(self, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.act, self.function = nn.Conv2d(2, 3, 3, padding=1), MultiLevelLIF(lanes=2), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


CASES = {
    "channels": lambda net, x: torch.cat([net.act(net.conv(x)), x], dim=1),
    "rows": lambda net, x: torch.cat((x, -x), 2),
    "columns": lambda net, x: torch.concat((x, 2 * x, x), dim=-1),
    "the same twice": lambda net, x: torch.cat([x, x], 1),
    "before a layer": lambda net, x: net.act(torch.cat([net.conv(x), net.conv(x)], 1)),
}


@pytest.mark.parametrize("name", CASES)
def test_pictures(name: str) -> None:
    module = make_dyadic(OverTime(Code(CASES[name]))).eval()
    x = dyadic(4, 2, 2, 5, 3)
    with torch.no_grad():
        expected = module(x).numpy()
    graph = nirbridge.export(module, (2, 5, 3))
    assert np.array_equal(run_graph(graph, x.numpy()), expected)


class Fusion(nn.Module):
    """Two inputs, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.act = nn.Linear(4, 3), nn.Linear(2, 3), MultiLevelLIF(lanes=2)
        self.out = nn.Sequential(nn.Linear(6, 2), MultiLevelLIF())

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        hidden = self.act(torch.cat([self.left(a), self.right(b)], dim=-1))
        return {"spikes": self.out(hidden), "hidden": hidden}


def test_two_inputs_meet() -> None:
    module = make_dyadic(Fusion()).eval()
    a, b = dyadic(6, 3, 4, seed=1), dyadic(6, 3, 2, seed=2)
    with torch.no_grad():
        expected = module(a, b)
    graph = nirbridge.export(module, {"a": (4,), "b": (2,)})
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime) as program:
            output = program.run({"a": a.numpy(), "b": b.numpy()}).output
        for name, values in expected.items():
            assert np.any(values.numpy())
            assert np.array_equal(output[name], values.numpy()), (runtime, name)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (lambda net, x: torch.cat([x, x], 0), "concatenates along axis 0, over time or batch"),
        (lambda net, x: torch.cat([x, net.conv(x)], 2), "concatenates features (2, 5, 3), (3, 5, 3)"),
        (lambda net, x: torch.cat([x, torch.ones(1)], 1), "does not depend on the network's input"),
        (lambda net, x: torch.stack([x, x]), "adds an axis"),
    ],
)
def test_refused(function: Callable[[nn.Module, Tensor], Tensor], text: str) -> None:
    with pytest.raises(ExportError) as caught:
        nirbridge.export(OverTime(Code(function)), (2, 5, 3))
    assert text in str(caught.value)
