"""QCFS networks become multi-level or LM-HT graphs that give the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nirbridge
from nirbridge.converting import convert_in_full, measure
from nirbridge.errors import ExportError, InputError
from nirbridge.ir import MultiLevelLIF, TemporalMix, frames_of_inference
from nirbridge.neurons import QCFS
from nirbridge.neurons import MultiLevelLIF as Neuron
from tests.converting.networks import with_statistics


def network(levels: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), QCFS(levels, 2.0), nn.MaxPool2d(2)]
    layers += [nn.Conv2d(6, 6, 3, padding=1), QCFS(levels, 0.5), nn.AvgPool2d(2), nn.Flatten()]
    layers += [nn.Linear(24, 16), QCFS(levels, 0.125), nn.Linear(16, 10)]
    return with_statistics(nn.Sequential(*layers).double())


def data(count: int = 300) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 1, 8, 8))


@pytest.mark.parametrize(("levels", "steps"), [(8, 1), (8, 2), (8, 4), (8, 8), (4, 1), (4, 4)])
def test_exact_where_levels_times_steps_is_q(levels: int, steps: int) -> None:
    """0 mismatches, value by value, in every layer."""
    net, x = network(levels), data()
    graph = nirbridge.convert(net, x, "qcfs", steps=steps)
    names = [name for name, node in graph.nodes.items() if type(node) is MultiLevelLIF]
    hooked: dict[str, np.ndarray] = {}
    for name in names:
        net.get_submodule(name).register_forward_hook(lambda m, i, y, name=name: hooked.update({name: y.numpy()}))
    with torch.no_grad():
        expected = net(torch.as_tensor(x)).numpy()
    with nirbridge.compile(graph) as program:
        run = program.run(x[None], record=names)
    for name in names:
        level = net.get_submodule(name).scale.item() / levels
        found = np.rint(run.records[name].mean(0) / level)
        np.testing.assert_array_equal(found, np.rint(hooked[name] / level))
        assert len(np.unique(found)) == levels + 1, "every level is reached"
    np.testing.assert_allclose(run.output[-1], expected, rtol=1e-12)


def test_ties_in_single_precision_fall_where_the_equation_has_them() -> None:
    """All float32 values next to every tie of 40 learned λ, judged in rational numbers: levels differ nowhere."""
    for scale in np.random.default_rng(0).uniform(0.5, 9, 40).astype(np.float32):
        act = QCFS(8, float(scale))
        ties = ((np.arange(8) + 0.5) * np.float64(scale) / 8).astype(np.float32)
        x = np.concatenate([ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(99))])[:, None]
        graph = nirbridge.convert(nn.Sequential(act), x, "qcfs")
        with nirbridge.compile(graph) as program:
            found = np.rint(program.run(x[None].astype(np.float64)).output[0, :, 0] / (scale / 8))
        exact = [floor(Fraction(float(v)) * 8 / Fraction(float(scale)) + Fraction(1, 2)) for v in x[:, 0]]
        np.testing.assert_array_equal(found, np.clip(exact, 0, 8))


def test_fields_of_the_neuron() -> None:
    graph = nirbridge.convert(network(8), data(4), "qcfs", steps=2)
    assert frames_of_inference(graph) == 1
    node = graph.nodes["2"]
    assert node.lanes == 4
    np.testing.assert_array_equal(node.lane_threshold.ravel(), [0.5, 1.0, 1.5, 2.0])
    np.testing.assert_array_equal(node.lane_weight, node.lane_threshold)
    assert node.v_init == 0.25
    np.testing.assert_array_equal(graph.nodes["2.mix"].weight, np.full((2, 2), 0.5))


def test_one_step_needs_no_mixing() -> None:
    graph = nirbridge.convert(network(4), data(4), "qcfs")
    assert not any(type(node) is TemporalMix for node in graph.nodes.values())


class _Pooling(nn.Module):
    """Pools what spikes by a function, under one of its names."""

    def __init__(self, pool: Callable[..., torch.Tensor], size: int) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first, self.pool, self.size = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), QCFS(4, 0.5)), pool, size
        self.last = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), QCFS(4, 0.25), nn.Flatten(), nn.Linear(64, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spikes = self.first[1](x=self.first[0](input=x))
        pooled = self.pool(input=spikes) if isinstance(self.pool, nn.Module) else self.pool(spikes, self.size)
        return self.last(pooled)


@pytest.mark.parametrize(
    ("pool", "size"),
    [
        (functional.max_pool2d, 2),
        (torch.max_pool2d, 2),
        (functional.adaptive_max_pool2d, 4),
        (lambda x, size: torch.max_pool2d(input=x, kernel_size=size), 2),
        (nn.MaxPool2d(2), 2),
    ],
)
def test_pools_are_exact_by_each_of_their_names(pool: Callable[..., torch.Tensor], size: int) -> None:
    net, x = _Pooling(pool, size).double().eval(), data(20)
    with torch.no_grad():
        expected = net(torch.as_tensor(x)).numpy()
    with nirbridge.compile(nirbridge.convert(net, x, "qcfs", steps=4)) as program:
        np.testing.assert_allclose(program.run(x[None]).output[-1], expected, rtol=1e-12)


def test_norse_agrees() -> None:
    report = measure(convert_in_full(network(8), data(64), "qcfs", steps=2), data(64), "norse")
    assert report.agreement == 1
    assert all(layer.mean_absolute < 1e-12 for layer in report.layers)


def test_levels_that_do_not_divide_are_refused_by_name() -> None:
    with pytest.raises(ExportError, match=r"module '2' \(QCFS\): has Q = 8 levels, not a multiple of T = 3"):
        nirbridge.convert(network(8), data(4), "qcfs", steps=3)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True, 10**6])
def test_steps_out_of_range(steps: object) -> None:
    with pytest.raises(InputError, match="option 'steps'"):
        nirbridge.convert(network(8), data(4), "qcfs", steps=steps)


def test_other_activations_are_refused_by_name() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), QCFS(4))
    with pytest.raises(ExportError, match=r"module '1' \(ReLU\).*QCFS in its place"):
        nirbridge.convert(net, np.ones((2, 4)), "qcfs")
    with pytest.raises(ExportError, match="has no QCFS activation"):
        nirbridge.convert(nn.Sequential(nn.Linear(4, 4)), np.ones((2, 4)), "qcfs")


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (nn.ReLU(), r"module '1' \(ReLU\).*nirbridge.neurons.QCFS in its place"),
        (nn.LogSoftmax(-1), r"module '1' \(LogSoftmax\): normalises the output.*Return the logits"),
        (Neuron(), r"module '1' \(MultiLevelLIF\): spikes already"),
    ],
)
def test_refusals_are_those_of_one_spike_with_another_activation(layer: nn.Module, expected: str) -> None:
    with pytest.raises(ExportError, match=expected):
        convert_in_full(nn.Sequential(nn.Linear(4, 4), layer), np.ones((2, 4)), "qcfs")
