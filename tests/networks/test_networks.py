"""Every network, small: its graph on two runtimes gives the module's own spikes; sizes; messages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.errors import InputError
from nirbridge.networks import BLOCKS, NETWORKS, TextGCN, build_network, own_neuron, resnet18, resnet20, vgg16
from nirbridge.networks.gcn import normalised_adjacency
from nirbridge.neurons import LMHT, QCFS, Barrier, MultiLevelIF, MultiLevelLIF, OverTime, SpikingNeuron
from nirbridge.training import set_thresholds

STEPS, BATCH = 3, 2


def spiking(network: nn.Module, x: torch.Tensor) -> OverTime:
    """In double precision, with statistics as after training and thresholds at which every layer fires."""
    wrapped = OverTime(network.double())
    for module in wrapped.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
            nn.init.normal_(module.weight, 1.0, 0.2)
            nn.init.normal_(module.bias, 0.3, 0.2)
    with torch.no_grad():
        wrapped.train()(x)
    # The factor keeps thresholds off the very currents that they are measured from, where rounding would decide.
    set_thresholds(wrapped.eval(), x, 95.0, factor=0.97)
    return wrapped


def agree(network: OverTime, x: torch.Tensor) -> None:
    """Neuron by neuron exactly, the readout to rounding."""
    spikes: dict[str, np.ndarray] = {}

    def keep(name: str):
        def hook(module, inputs, output):
            spikes[name.removeprefix("module.")] = output.reshape(STEPS, BATCH, *output.shape[1:]).numpy()

        return hook

    neurons = [(name, module) for name, module in network.named_modules() if isinstance(module, SpikingNeuron)]
    handles = [module.register_forward_hook(keep(name)) for name, module in neurons]
    with torch.no_grad():
        expected = network(x).numpy()
    for handle in handles:
        handle.remove()
    graph = nirbridge.export(network, tuple(x.shape[2:]))
    names = [name for name in spikes if name in graph.nodes]
    assert len(names) == len(spikes) > 0
    for name, values in spikes.items():
        assert np.count_nonzero(values) > 0, f"{name} is silent"
    for runtime, options in (("reference", {}), ("norse", {"dtype": "float64"}), ("lava", {"mapping": "fused"})):
        if not nirbridge.runtimes()[runtime].usable:
            continue
        with nirbridge.compile(graph, runtime, **options) as program:
            result = program.run(x.numpy(), record=names)
        for name in names:
            np.testing.assert_array_equal(result.records[name], spikes[name], err_msg=f"{runtime} {name}")
        np.testing.assert_allclose(result.output, expected, rtol=1e-9, atol=1e-9)


SMALL = {
    "small-conv": ((2, 9, 9), 3),
    "small-dense": ((1, 8, 8), 12),
    "vgg13": ((3, 16, 16), 2),
    "vgg16": ((3, 16, 16), 2),
    "vggsnn": ((2, 16, 16), 2),
    "resnet18": ((3, 8, 8), 2),
    "resnet19": ((3, 8, 8), 2),
    "resnet20": ((3, 8, 8), 2),
    "resnet34": ((3, 8, 8), 2),
    "sparse-resnet18": ((3, 8, 8), 2),
}


def frames(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(STEPS, BATCH, *shape, generator=generator, dtype=torch.float64) * 2


def test_all_networks_are_tested() -> None:
    assert {*SMALL, "spike-transformer", "text-gcn"} == set(NETWORKS)


@pytest.mark.parametrize("name", SMALL)
def test_network_agrees_with_its_graph(name: str) -> None:
    torch.manual_seed(0)
    shape, width = SMALL[name]
    x = frames(shape)
    agree(spiking(build_network(name, input_shape=shape, width=width, num_classes=4), x), x)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("neuron", ["m-lif", "ml-if", "lm-ht"])
def test_blocks_agree_with_their_graphs(block: str, neuron: str) -> None:
    torch.manual_seed(1)
    make = {
        "m-lif": lambda: MultiLevelLIF(3, 0.5, 0.75),
        "ml-if": lambda: MultiLevelIF(4, output="level"),
        "lm-ht": lambda: LMHT(2, STEPS, 1.0),
    }[neuron]
    x = frames((3, 8, 8))
    network = resnet20(4, (3, 8, 8), 2, neuron=make, block=block, barrier=lambda: Barrier(3))
    agree(spiking(network, x), x)


def test_large_inputs_get_the_large_stem() -> None:
    torch.manual_seed(2)
    x = frames((3, 64, 64))
    network = spiking(resnet18(4, (3, 64, 64), 2), x)
    assert network.module.stem[0].kernel_size == (7, 7)
    agree(network, x)


def test_the_shortcut_joins_the_current_of_the_second_neuron() -> None:
    """One block by hand: y = n(conv2 n(conv1 x) + x)."""
    block = BLOCKS["spiking"](2, 2, 1, lambda: MultiLevelLIF(3), lambda: Barrier(4)).eval()
    x = frames((2, 4, 4)).float()
    caught = []
    block.act2.register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0]))
    OverTime(block)(x)
    main = OverTime(nn.Sequential(block.conv1, block.act1, block.conv2))(x)
    torch.testing.assert_close(caught[0], (main + x).flatten(0, 1))


def test_sew_values_grow_and_sparse_ones_do_not() -> None:
    """The spike avalanche: saturated SEW blocks send more from block to block, barriers hold values to V_th."""
    torch.manual_seed(3)
    x = frames((3, 8, 8)) + 1
    largest: dict[str, list[float]] = {"sew": [], "sparse": []}
    for block, seen in largest.items():
        network = spiking(resnet20(4, (3, 8, 8), 4, neuron=lambda: MultiLevelIF(4), block=block), x)
        for residual in network.module.blocks[:3]:
            residual.register_forward_hook(lambda m, i, y, seen=seen: seen.append(float(y.max())))
            for neuron in (m for m in residual.modules() if type(m) in (MultiLevelIF, Barrier)):
                neuron.threshold.fill_(0.25)
        with torch.no_grad():
            network(x)
    first, second, third = largest["sew"]
    assert first < second < third
    assert max(largest["sparse"]) <= 0.25


@pytest.mark.parametrize("name", NETWORKS)
def test_a_networks_own_neuron_is_the_one_that_it_has_by_default(name: str) -> None:
    shape, width = (4, 3) if name == "text-gcn" else SMALL.get(name, ((3, 8, 8), 8))[0], 8
    own = own_neuron(name)()
    graph = {"adjacency": torch.ones(3, 3)} if name == "text-gcn" else {}
    network = build_network(name, input_shape=shape, width=width, **graph)
    neurons = [m for m in network.modules() if isinstance(m, SpikingNeuron) and type(m) is not Barrier]
    assert {(str(m), m._units) for m in neurons} == {(str(own), own._units)}


@pytest.mark.parametrize(
    ("neuron", "levels", "threshold"),
    [
        (lambda: MultiLevelIF(8, 2.0), 8, 2.0),
        (lambda: MultiLevelIF(3, 0.5, output="level"), 3, 3.0),
        (lambda: MultiLevelIF(1, torch.full((2, 1, 1), 0.5)), 1, [[[0.5]], [[0.5]]]),
        (lambda: MultiLevelLIF(3, 0.7), 4, 4.0),
        (lambda: MultiLevelLIF(4, scaled=True), 8, 1.0),
        (lambda: LMHT(2, STEPS, 0.5), 2, 1.0),
        (lambda: QCFS(6, 3.0), 6, 3.0),
        (nn.ReLU, 4, 1.0),
    ],
)
def test_barriers_have_the_levels_and_the_threshold_of_the_neuron(neuron, levels, threshold) -> None:
    network = resnet20(4, (3, 8, 8), 2, neuron=neuron, block="sparse")
    barriers = [module for module in network.modules() if type(module) is Barrier]
    assert len(barriers) == 9
    assert {barrier.levels for barrier in barriers} == {levels}
    assert all(barrier.threshold.tolist() == threshold for barrier in barriers)
    sent = neuron().lane_weight if isinstance(neuron(), SpikingNeuron) else None
    if sent is not None:
        assert torch.equal(barriers[0].lane_weight[-1], sent[-1])
    given = resnet20(4, (3, 8, 8), 2, neuron=neuron, block="sparse", barrier=lambda: Barrier(7))
    assert {module.levels for module in given.modules() if type(module) is Barrier} == {7}


def test_barriers_do_not_learn_the_threshold_of_the_neuron() -> None:
    network = resnet20(4, (3, 8, 8), 2, neuron=lambda: MultiLevelIF(4, 2.0, learn_threshold=True), block="sparse")
    assert not any(m.threshold.requires_grad for m in network.modules() if type(m) is Barrier)


def test_a_sparse_block_in_full() -> None:
    """y = barrier(n(BN conv n(BN conv x)) + s(x)) from numbers alone, forward and backward, at one step.

    Backward the barrier is a straight line: the gradient over x is that of the sum, saturated or not.
    """
    torch.manual_seed(4)
    block = BLOCKS["sparse"](2, 2, 1, lambda: MultiLevelIF(4), lambda: Barrier(4)).double().train()
    x = (torch.rand(3, 2, 5, 5).double() * 4).floor().div(4).requires_grad_()

    def levels(u: torch.Tensor) -> torch.Tensor:
        """Levels with the slope of the sum of four sigmoids of α = 5 in units of a level."""
        smooth = sum(torch.sigmoid(5 * (4 * u - n)) for n in range(1, 5)) / 4
        return smooth + ((u * 4).floor().clamp(0, 4) / 4 - smooth).detach()

    def conv_bn(layer: nn.Sequential, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.conv2d(x, layer[0].weight, padding=1)
        mean, var = y.mean((0, 2, 3), keepdim=True), y.var((0, 2, 3), unbiased=False, keepdim=True)
        return (y - mean) / (var + layer[1].eps).sqrt()

    total = levels(conv_bn(block.conv2, levels(conv_bn(block.conv1, x)))) + x
    expected = total + ((total * 4).floor().clamp(0, 4) / 4 - total).detach()
    assert (total > 1).any()
    found = OverTime(block)(x[None])[0]
    torch.testing.assert_close(found, expected)
    cotangent = torch.randn_like(x)
    (slope,), (wanted,) = (torch.autograd.grad((y * cotangent).sum(), x) for y in (found, expected))
    torch.testing.assert_close(slope, wanted)


def macs(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Cin Cout k² Ho Wo of convolutions and Nin Nout of linear layers, counted without computing."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        per_output = module.weight[0].numel()
        total += per_output * output[0].numel()

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(count)
    network(torch.empty(1, *shape, device="meta"))
    return total


def test_full_size_vgg16_has_the_published_operations() -> None:
    """1557 µJ and 71163 µJ at 4.6 pJ a MAC, the papers' ANN energies."""
    with torch.device("meta"):
        small = vgg16(10, neuron=nn.ReLU)
        large = vgg16(1000, (3, 224, 224), neuron=nn.ReLU)
    assert macs(small, (3, 32, 32)) * 4.6e-6 == pytest.approx(1557, abs=1)
    assert macs(large, (3, 224, 224)) * 4.6e-6 == pytest.approx(71163, abs=1)


@pytest.mark.parametrize(("name", "count"), [("resnet18", 11.17e6), ("resnet34", 21.28e6), ("resnet20", 0.27e6)])
def test_full_size_resnets_have_the_known_parameters(name: str, count: float) -> None:
    with torch.device("meta"):
        network = build_network(name, num_classes=10, input_shape=(3, 32, 32), neuron=nn.ReLU)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(count, rel=0.02)


def test_text_gcn_against_its_equation_and_its_graph() -> None:
    torch.manual_seed(4)
    nodes = 7
    links = torch.rand(nodes, nodes, dtype=torch.float64)
    links = torch.triu(links * (links > 0.5), 1)
    adjacency = links + links.T
    analog = TextGCN(adjacency, nodes, 3, 5, nn.ReLU).double()
    x = torch.eye(nodes, dtype=torch.float64)
    closed = adjacency.numpy() + np.eye(nodes)
    scale = np.diag(closed.sum(1) ** -0.5)
    a = scale @ closed @ scale
    w1, w2 = (layer.weight[..., 0].detach().numpy().T for layer in (analog.transform1, analog.transform2))
    expected = a @ np.maximum(a @ np.maximum(x.numpy() @ w1, 0), 0) @ w2
    with torch.no_grad():
        np.testing.assert_allclose(analog(x.T[None])[0].numpy().T, expected, atol=1e-12)
    spikes = spiking(TextGCN(adjacency, nodes, 3, 5), x.T.expand(STEPS, BATCH, nodes, nodes))
    assert not spikes.module.aggregate1.weight.requires_grad
    agree(spikes, x.T.expand(STEPS, BATCH, nodes, nodes).contiguous())


def test_bad_adjacency() -> None:
    with pytest.raises(InputError, match="not symmetric"):
        normalised_adjacency(torch.tensor([[0.0, 1.0], [0.0, 0.0]]))
    with pytest.raises(InputError, match="not a square"):
        normalised_adjacency(torch.ones(2, 3))
    with pytest.raises(InputError, match="has no graph"):
        build_network("text-gcn", input_shape=(4, 3))
    with pytest.raises(InputError, match=r"is not \(features, 2 nodes\)"):
        build_network("text-gcn", input_shape=(4, 3), adjacency=torch.ones(2, 2))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg19", {}, "unknown network 'vgg19'"),
        ("vgg16", {"depth": 3}, "network 'vgg16'.*depth"),
        ("vgg16", {"input_shape": (3, 20, 20)}, "halved 4 times, which 16 does not divide"),
        ("vggsnn", {"width": 0}, "width=0"),
        ("resnet18", {"block": "dense"}, "unknown block 'dense'"),
        ("resnet18", {"input_shape": (32, 32)}, "not .channels, height, width."),
        ("vgg16", {"pooling": "min"}, "unknown pooling 'min'"),
    ],
)
def test_bad_options_are_one_line(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        build_network(name, **options)
    assert "\n" not in str(error.value)
