"""Random layer configurations, drawn from seeds: whatever torch accepts is exported and agrees."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.exporting import export
from nirbridge.neurons import MultiLevelIF, MultiLevelLIF, OverTime, SpikingNeuron
from tests.exporting.running import dyadic, randomise_statistics, run_module


def _conv(rng: random.Random, channels: int) -> tuple[nn.Module, int]:
    groups = rng.choice([g for g in (1, 2, 4) if channels % g == 0])
    out = groups * rng.choice([1, 2, 3])
    kernel = (rng.randint(1, 3), rng.randint(1, 3))
    dilation = (rng.randint(1, 2), rng.randint(1, 2))
    if rng.random() < 0.3:
        padding: object = "same"
        stride = (1, 1)
    else:
        padding = (rng.randint(0, 2), rng.randint(0, 2))
        stride = (rng.randint(1, 2), rng.randint(1, 2))
    bias = rng.random() < 0.5
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias), out


def _pool(rng: random.Random) -> nn.Module:
    kernel = (rng.randint(2, 3), rng.randint(1, 3))
    stride = rng.choice([None, 1, (2, 1)])
    padding = (kernel[0] // 2, rng.randint(0, kernel[1] // 2))
    return rng.choice([nn.MaxPool2d, nn.AvgPool2d])(kernel, stride, padding)


def _neuron(rng: random.Random) -> nn.Module:
    theta = rng.choice([0.125, 0.25, 0.1])
    if rng.random() < 0.3:
        return MultiLevelIF(rng.randint(1, 5), threshold=theta)
    reset, boundary = rng.choice(["subtract", "value"]), rng.choice([">", ">="])
    return MultiLevelLIF(rng.randint(1, 4), theta, rng.choice([1.0, 0.5, 0.9]), reset=reset, boundary=boundary)


def random_network(seed: int) -> tuple[nn.Module, tuple[int, ...]]:
    """Convolution, perhaps normalisation, neuron, perhaps pooling; twice; then a readout with a neuron."""
    rng = random.Random(seed)
    torch.manual_seed(seed)
    shape = (rng.choice([1, 2, 4]), rng.randint(12, 14), rng.randint(12, 14))
    layers: list[nn.Module] = []
    channels = shape[0]
    for _ in range(2):
        conv, channels = _conv(rng, channels)
        layers.append(conv)
        if rng.random() < 0.6:
            layers.append(nn.BatchNorm2d(channels, affine=rng.random() < 0.7))
        layers.append(_neuron(rng))
        if rng.random() < 0.6:
            layers.append(_pool(rng))
    layers.append(nn.Flatten())
    features = nn.Sequential(*layers).double().eval()
    with torch.no_grad():
        size = OverTime(features)(torch.zeros(1, 1, *shape).double()).shape[-1]
    head = [nn.Linear(size, 6, bias=rng.random() < 0.5), _neuron(rng), nn.Linear(6, 3)]
    return randomise_statistics(nn.Sequential(*features, *head).double(), seed), shape


def spikes_of(net: nn.Sequential, x: torch.Tensor) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What every neuron sends, [T, B, ...] by its name, and the output."""
    sent: dict[str, np.ndarray] = {}
    handles = [
        layer.register_forward_hook(lambda _m, _x, y, name=name: sent.update({name: y.numpy()}))
        for name, layer in net.named_children()
        if isinstance(layer, SpikingNeuron)
    ]
    output = run_module(OverTime(net), x)
    for handle in handles:
        handle.remove()
    return {name: y.reshape(*x.shape[:2], *y.shape[1:]) for name, y in sent.items()}, output


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("seed", range(40))
def test_every_spike_of_a_random_network_is_the_same(seed: int) -> None:
    net, shape = random_network(seed)
    x = dyadic(4, 2, *shape, seed=seed)
    spikes, output = spikes_of(net, x)
    with nirbridge.compile(export(OverTime(net), shape), "reference") as program:
        result = program.run(x.numpy(), record=list(spikes))
    assert max(np.ptp(sent) for sent in spikes.values()) > 0
    for name, expected in spikes.items():
        np.testing.assert_array_equal(result.records[name], expected, err_msg=name)
    np.testing.assert_allclose(result.output, output, rtol=1e-9, atol=1e-9)
