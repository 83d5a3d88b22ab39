"""The spike-driven transformer: its attention against the equation, its gradients, and why it does not export."""

import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.errors import ExportError, InputError
from nirbridge.networks import SpikeTransformer, build_network
from nirbridge.networks.transformer import SpikeAttention, transformer_neuron
from nirbridge.neurons import MultiLevelLIF, OverTime
from nirbridge.training import mean_cross_entropy


def levels(current, scaled=(0.25, 0.5, 1.0)):
    """One step of the transformer's neuron from rest: u = x/2."""
    u = current / 2
    return np.select([u > 1.0, u > 0.5, u > 0.25], scaled[::-1], 0.0)


def test_attention_against_its_equation():
    torch.manual_seed(0)
    block = SpikeAttention(4, transformer_neuron).double().eval()
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64) * 3
    weights = {}
    for name in ("query", "key", "value", "project"):
        conv = getattr(block, name)[0] if name == "project" else getattr(block, name)[0][0]
        weights[name] = (conv.weight * 4).detach()
        conv.weight.data = weights[name]
    scale = 1 / np.sqrt(1 + 1e-5)  # batch normalisation as it begins

    def mix(name, values):
        return scale * np.einsum("oi,bihw->bohw", weights[name][..., 0, 0].numpy(), values)

    spikes = levels(x.numpy())
    q, k, v = (levels(mix(name, spikes)) for name in ("query", "key", "value"))
    gate = levels((k * v).sum((2, 3), keepdims=True))
    assert gate.any()
    assert (q * gate).any()
    expected = x.numpy() + mix("project", q * gate)
    with torch.no_grad():
        found = OverTime(block)(x[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_every_parameter_learns():
    torch.manual_seed(1)
    network = OverTime(build_network("spike-transformer", width=16, depth=2, input_shape=(3, 8, 8), num_classes=4))
    x, labels = torch.rand(2, 6, 3, 8, 8) * 3, torch.arange(6) % 4
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(25):
        loss = mean_cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert losses[-1] < 0.7 * losses[0]


def test_full_size_is_transformer_2_512():
    with torch.device("meta"):
        network = SpikeTransformer()
    assert len(network.blocks) == 4
    assert network.classifier.in_features == 512
    assert all(m.gain == 0.5 and m.scaled for m in network.modules() if isinstance(m, MultiLevelLIF))


def test_export_names_the_product():
    network = OverTime(SpikeTransformer(4, (3, 8, 8), 8, 1))
    with pytest.raises(ExportError, match="mul") as error:
        nirbridge.export(network, (3, 8, 8))
    assert all("\n" not in str(problem) for problem in error.value.problems)


def test_bad_sizes():
    with pytest.raises(InputError, match="width // 8=0"):
        SpikeTransformer(width=4)
    with pytest.raises(InputError, match="halved 2 times"):
        SpikeTransformer(input_shape=(3, 30, 30))
