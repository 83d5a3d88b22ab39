"""The spike-driven transformer: its attention against the equation, its gradients, and its graph on every runtime."""

import numpy as np
import pytest
import torch

import nirbridge
from nirbridge.errors import InputError
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


def active_network(*, dyadic: bool, size: int = 16, width: int = 8, depth: int = 1) -> OverTime:
    """A network in double precision, whose every layer spikes; with dyadic weights all of its sums are exact."""
    torch.manual_seed(2)
    network = OverTime(SpikeTransformer(4, (3, size, size), width, depth)).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 0.0  # the running variance is 1, so that folding it leaves the weights as they are
            torch.nn.init.constant_(module.bias, 0.5)
        elif isinstance(module, torch.nn.Conv2d) and dyadic:
            module.weight.data = torch.randint(-4, 6, module.weight.shape).double() / 8
    return network


def layer_spikes(network: OverTime, x: torch.Tensor) -> dict[str, np.ndarray]:
    """What every neuron of the module sends, [T, B, ...] by its name, and the output."""
    found = {}

    def keep(name):
        return lambda module, args, y: found.update({name: y.numpy().reshape(*x.shape[:2], *y.shape[1:])})

    kinds = [(name, m) for name, m in network.module.named_modules() if isinstance(m, MultiLevelLIF)]
    hooks = [module.register_forward_hook(keep(name)) for name, module in kinds]
    with torch.no_grad():
        found["output"] = network(x).numpy()
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("dyadic", [True, False])
@pytest.mark.parametrize(
    ("runtime", "options"),
    [("reference", {}), ("norse", {"dtype": "float64"}), ("lava", {"mapping": "fused"})],
)
def test_every_spike_of_its_graph_on_every_runtime(runtime, options, dyadic):
    state = nirbridge.runtimes()[runtime]
    if not state.usable:
        pytest.skip(state.reason)
    network = active_network(dyadic=dyadic)
    x = torch.randint(0, 9, (3, 2, 3, 16, 16)).double() / 4
    expected = layer_spikes(network, x)
    assert all((values != 0).mean() > 0.02 for values in expected.values())
    graph = nirbridge.export(network, (3, 16, 16))
    with nirbridge.compile(graph, runtime, **options) as program:
        found = program.run(x.numpy(), record=[name for name in expected if name != "output"])
    wrong = {name: int((found.records[name] != expected[name]).sum()) for name in found.records}
    assert len(wrong) == 12
    assert set(wrong.values()) == {0}, wrong
    np.testing.assert_allclose(found.output, expected["output"], atol=1e-12)


def test_bad_sizes():
    with pytest.raises(InputError, match="width // 8=0"):
        SpikeTransformer(width=4)
    with pytest.raises(InputError, match="halved 2 times"):
        SpikeTransformer(input_shape=(3, 30, 30))


def test_transformer_2_512_at_cifar_size():
    """10 million parameters: export, files aside, and every spike of one picture on reference and norse."""
    pytest.importorskip("norse")
    torch.manual_seed(2)
    network = OverTime(SpikeTransformer()).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, 0.5)
    x = torch.rand(2, 1, 3, 32, 32).double() * 2
    expected = layer_spikes(network, x)
    assert all((values != 0).mean() > 0.02 for values in expected.values())
    graph = nirbridge.export(network, (3, 32, 32))
    for runtime, options in (("reference", {}), ("norse", {"dtype": "float64"})):
        with nirbridge.compile(graph, runtime, **options) as program:
            found = program.run(x.numpy(), record=[name for name in expected if name != "output"])
        assert sum(int((found.records[name] != expected[name]).sum()) for name in found.records) == 0, runtime
        np.testing.assert_allclose(found.output, expected["output"], atol=1e-12)
