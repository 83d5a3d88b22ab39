"""Networks inside of other modules: the graph is that of what they hold; compiled code is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx, nn

import nirbridge
from nirbridge.converting import convert_in_full
from nirbridge.errors import ExportError
from nirbridge.ir import graphs_equal
from nirbridge.neurons import MultiLevelLIF, OverTime


def spiking() -> nn.Module:
    torch.manual_seed(0)
    return OverTime(nn.Sequential(nn.Linear(4, 3), MultiLevelLIF(), nn.Linear(3, 2)))


def analog() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()


class _Within(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.head = inner, nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.inner(x)))


CONTAINERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "torch.compile": torch.compile,
    "DataParallel": nn.DataParallel,
    "both": lambda module: nn.DataParallel(torch.compile(module)),
}
DATA = np.random.default_rng(0).random((6, 4)).astype(np.float32)


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_is_inside_is_read(name: str) -> None:
    wrap = CONTAINERS[name]
    assert graphs_equal(nirbridge.export(wrap(spiking()), (4,)), nirbridge.export(spiking(), (4,)))
    assert graphs_equal(convert_in_full(wrap(analog()), DATA).graph, convert_in_full(analog(), DATA).graph)


def test_parts_of_a_network_may_be_wrapped() -> None:
    """As the features of older networks are by DataParallel; nodes keep the paths of their modules."""
    torch.manual_seed(1)
    net = _Within(nn.DataParallel(analog())).eval()
    conversion = convert_in_full(net, DATA)
    assert [layer.name for layer in conversion.layers] == ["inner.module.1", "relu"]
    torch.manual_seed(1)
    expected = convert_in_full(_Within(analog()).eval(), DATA).graph.nodes["head"].weight
    np.testing.assert_array_equal(conversion.graph.nodes["head"].weight, expected)
    compiled = OverTime(nn.Sequential(torch.compile(nn.Linear(4, 3)), MultiLevelLIF(), nn.Linear(3, 2)))
    assert list(nirbridge.export(compiled, (4,)).nodes) == ["input", "0._orig_mod", "1", "2", "output"]


def test_graph_modules_are_read_as_modules() -> None:
    traced = fx.symbolic_trace(analog())
    assert graphs_equal(convert_in_full(traced, DATA).graph, convert_in_full(analog(), DATA).graph)
    net = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)))
    assert list(nirbridge.export(net, (4,)).nodes) == ["input", "0", "1", "output"]


@pytest.mark.parametrize("read", [lambda m: nirbridge.export(m, (4,)), lambda m: convert_in_full(m, DATA)])
def test_compiled_code_is_refused_in_one_line(read: Callable[[nn.Module], Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, but such modules are about
        scripted, traced = torch.jit.script(analog()), torch.jit.trace(analog(), torch.ones(1, 4))
    for module, where in (
        (scripted, "module RecursiveScriptModule"),
        (traced, "module TopLevelTracedModule"),
        (nn.Sequential(scripted, nn.ReLU()), "module '0' (RecursiveScriptModule)"),
    ):
        with pytest.raises(ExportError) as caught:
            read(module)
        (problem,) = caught.value.problems
        assert problem.where == where
        assert "is compiled by torch.jit" in problem.found
        assert "torch.jit.script or torch.jit.trace was given" in problem.next_step
