"""From analog networks to spiking ones: folding, thresholds, LM-HT."""

import nir
import numpy as np
import pytest
import torch
from torch import nn

from nirbridge.errors import InputError
from nirbridge.ir import spec_of
from nirbridge.neurons import (
    LMHT,
    QCFS,
    MultiLevelIF,
    MultiLevelLIF,
    OverTime,
    PrimitiveNeuron,
    Recurrent,
    Sigmoid,
    Tet,
)
from nirbridge.training import (
    direct_lmht,
    fold_batch_norms,
    hybrid_network,
    lmht_from_qcfs,
    set_thresholds,
)
from training import make_neuron


def randomise(network):
    """Statistics and factors of batch normalisation as training leaves them."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.running_mean.normal_(0, 0.3, generator=generator)
            module.running_var.uniform_(0.3, 1.3, generator=generator)
            nn.init.normal_(module.weight, 1.0, 0.3, generator=generator)
            nn.init.normal_(module.bias, 0.0, 0.2, generator=generator)
    return network


class Residual(nn.Module):
    """Conv and linear layers with normalisation behind, and one normalisation that stands alone."""

    def __init__(self, activation=nn.ReLU):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(4)
        self.act1 = activation()
        self.conv2 = nn.Conv2d(4, 4, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(4)
        self.act2 = activation()
        self.alone = nn.BatchNorm2d(4)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * 16, 6)
        self.norm3 = nn.BatchNorm1d(6)
        self.act3 = activation()
        self.out = nn.Linear(6, 3)

    def forward(self, x):
        a = self.act1(self.norm1(self.conv1(x)))
        b = self.alone(self.act2(self.norm2(self.conv2(a)) + a))
        return self.out(self.act3(self.norm3(self.fc(self.flatten(b)))))


def test_folding_keeps_the_outputs_and_what_has_no_layer_before():
    torch.manual_seed(0)
    network, x = randomise(Residual()).double().eval(), torch.randn(3, 2, 4, 4).double()
    folded = fold_batch_norms(network, x)
    torch.testing.assert_close(folded(x), network(x), rtol=1e-10, atol=1e-10)
    kept = {name for name, module in folded.named_modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))}
    assert kept == {"alone"}
    assert isinstance(network.norm1, nn.BatchNorm2d)


def test_folding_refuses_what_it_would_change():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.norm = nn.Linear(3, 3), nn.BatchNorm1d(3)

        def forward(self, x):
            y = self.fc(x)
            return self.norm(y) * 3 + y

    with pytest.raises(InputError, match="folding batch normalisation changes the outputs"):
        fold_batch_norms(randomise(Twice()).eval(), torch.ones(2, 3))


def test_a_surrogate_is_a_name_or_a_section():
    neuron = make_neuron({"name": "multi-level-if", "levels": 4, "surrogate": {"name": "sigmoid", "alpha": 1.25}})
    assert (neuron.levels, neuron.surrogate) == (4, Sigmoid(1.25))
    assert make_neuron({"name": "m-lif", "surrogate": "sigmoid"}).surrogate == Sigmoid(4.0)
    assert make_neuron({"name": "m-lif", "surrogate": {"name": "tet"}}).surrogate == Tet()


@pytest.mark.parametrize(
    ("surrogate", "message"),
    [
        ({"name": "step"}, "unknown surrogate 'step'"),
        ({"alpha": 2}, "unknown surrogate None"),
        ({"name": "sigmoid", "gamma": 2}, "surrogate 'sigmoid': "),
        ({"name": "sigmoid", "alpha": 0}, "alpha"),
        ({"name": "sigmoid", "alpha": "steep"}, "alpha"),
        ("step", "surrogate"),
    ],
)
def test_surrogates_that_cannot_be_are_one_line(surrogate, message):
    with pytest.raises(InputError, match=message) as error:
        make_neuron({"name": "multi-level-if", "levels": 4, "surrogate": surrogate})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize(("percentile", "factor"), [(99.7, 0.4), (90.0, 1.0)])
def test_thresholds_layer_by_layer(percentile, factor, divide):
    """Against a second run in numpy, in which each layer spikes with its own new threshold."""
    torch.manual_seed(1)
    first, second = nn.Linear(6, 8).double(), nn.Linear(8, 5).double()
    ann = nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Linear(5, 2).double())
    x = torch.rand(40, 6).double() * 2
    network = hybrid_network(ann, x, 3, lambda: MultiLevelLIF(3).double(), percentile, factor, divide)
    top = 4.0 if divide else 1.0

    current = x.numpy() @ first.weight.detach().numpy().T + first.bias.detach().numpy()
    thresholds = []
    frames = np.stack([current] * 3)
    for layer in (first, second):
        theta = factor * np.percentile(frames, percentile) / top
        thresholds.append(theta)
        v, spikes = np.zeros_like(frames[0]), []
        for step in frames:
            u = v + step
            level = np.select([u > 4 * theta, u > 2 * theta, u > theta], [4.0, 2.0, 1.0], 0.0)
            v = u - level * theta
            spikes.append(level)
        if layer is first:
            frames = np.stack(spikes) @ second.weight.detach().numpy().T + second.bias.detach().numpy()
    np.testing.assert_allclose(network.module[1].threshold, thresholds[0], rtol=1e-12)
    np.testing.assert_allclose(network.module[3].threshold, thresholds[1], rtol=1e-12)


def test_the_highest_level_of_other_neurons_begins_at_the_percentile():
    network = nn.Sequential(MultiLevelIF(4).double())
    x = torch.linspace(0, 1, 101).double()[None, :, None]
    assert set_thresholds(network, x, 90.0) == {"0": pytest.approx(0.9)}


def test_lmht_is_measured_behind_its_mixing():
    network = LMHT(2, 2, 1.0)
    with torch.no_grad():
        network.mixing_logits.copy_(torch.tensor([[0.0, 9.0], [9.0, 0.0]]))
    x = torch.rand(2, 50, 3)
    expected = torch.einsum("tj,jbn->tbn", network.mixing.detach(), x).max() / 2
    for net in (network, OverTime(nn.Sequential(network))):
        assert list(set_thresholds(net, x, 100.0).values()) == [pytest.approx(float(expected))]


def test_hybrid_replaces_every_relu_and_leaves_the_ann_alone():
    torch.manual_seed(0)
    ann = randomise(Residual())
    before = {name: tensor.clone() for name, tensor in ann.state_dict().items()}
    x = torch.rand(8, 2, 4, 4)
    spiking = hybrid_network(ann, x, 2, lambda: MultiLevelLIF(3, learn_threshold=True, learn_decay=True))
    assert sum(isinstance(m, MultiLevelLIF) for m in spiking.modules()) == 3
    assert all(torch.equal(tensor, before[name]) for name, tensor in ann.state_dict().items())
    spiking(x.expand(2, *x.shape)).sum().backward()
    assert spiking.module.act3.threshold.grad is not None
    assert spiking.module.act1.decay_parameter.grad is not None


def test_bad_networks_are_one_line_that_names_the_layer():
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.act = nn.Linear(2, 2), nn.ReLU()

        def forward(self, x):
            return torch.relu(self.fc(self.act(x)))

    neuron = lambda: MultiLevelLIF(3)  # noqa: E731
    x = torch.ones(2, 2)
    with pytest.raises(InputError, match="calls the function relu"):
        hybrid_network(Functional(), x, 1, neuron)
    with pytest.raises(InputError, match="holds no ReLU module"):
        hybrid_network(nn.Sequential(nn.Linear(2, 2)), x, 1, neuron)
    dead = nn.Linear(2, 2)
    nn.init.zeros_(dead.weight)
    nn.init.constant_(dead.bias, -1.0)
    with pytest.raises(InputError, match=r"layer 'module\.1' \(MultiLevelLIF\)") as error:
        hybrid_network(nn.Sequential(dead, nn.ReLU()), x, 1, neuron)
    assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="percentile 0"):
        set_thresholds(nn.Sequential(MultiLevelLIF(1)), x[None], 0.0)


def test_currents_that_no_single_threshold_fits_are_one_line_that_names_the_layer():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.act = nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU()
            nn.init.ones_(self.first.weight)
            nn.init.ones_(self.second.weight)

        def forward(self, x):
            return self.act(self.second(self.act(self.first(x))))

    with pytest.raises(InputError, match=r"layer 'module\.act' \(MultiLevelLIF\): is called twice a run"):
        hybrid_network(Twice(), torch.ones(2, 2), 1, lambda: MultiLevelLIF(3))
    fed_back = nn.Sequential(MultiLevelLIF(3), Recurrent(MultiLevelLIF(3), nn.Linear(2, 2)))
    with pytest.raises(InputError, match=r"layer '1' \(Recurrent\): its neuron's current comes back"):
        set_thresholds(fed_back, torch.ones(1, 2, 2))
    assert float(fed_back[0].threshold) == 1.0
    own = PrimitiveNeuron(spec_of(nir.IF(np.ones(2), np.ones(2))), r=1.0, v_threshold=1.0, v_reset=0.0)
    with pytest.raises(InputError, match=r"layer '1' \(PrimitiveNeuron\): says itself"):
        set_thresholds(nn.Sequential(MultiLevelLIF(3), own), torch.ones(1, 2, 2))
    reading = PrimitiveNeuron(spec_of(nir.I(np.ones(2))), r=1.0)
    assert set(set_thresholds(nn.Sequential(MultiLevelLIF(3), reading), torch.ones(1, 2, 2))) == {"0"}


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(3, affine=False), nn.BatchNorm1d(3, track_running_stats=False)])
def test_norms_without_factors_fold_and_those_without_statistics_stay(norm):
    if norm.running_mean is not None:
        norm.running_mean.copy_(torch.tensor([0.5, -1.0, 2.0]))
    network, x = nn.Sequential(nn.Linear(4, 3), norm).eval(), torch.rand(8, 4)
    folded = fold_batch_norms(network, x)
    assert type(folded[1]) is (nn.BatchNorm1d if norm.running_mean is None else nn.Identity)
    torch.testing.assert_close(folded(x), network(x))


@pytest.mark.parametrize(("steps", "levels"), [(1, 8), (2, 4), (4, 2), (8, 1)])
def test_lmht_begins_exactly_where_qcfs_ended(steps, levels):
    """On dyadic weights the mean over T of the LM-HT network is the QCFS network's output to the last bit."""
    torch.manual_seed(2)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), QCFS(8, 4.0), nn.Conv2d(4, 4, 3), QCFS(8, 2.0), nn.Flatten(), nn.Linear(36, 3)
    ).double()
    with torch.no_grad():
        for module in network:
            if hasattr(module, "weight"):
                module.weight.copy_(torch.randint(-8, 9, module.weight.shape) / 16)
                module.bias.copy_(torch.randint(-8, 9, module.bias.shape) / 16)
    x = torch.randint(0, 17, (5, 1, 5, 5)).double() / 8
    spiking = lmht_from_qcfs(network, steps)
    assert [m.levels for m in spiking.modules() if isinstance(m, LMHT)] == [levels, levels]
    expected = network(x)
    assert expected.std() > 0
    assert torch.equal(spiking(x.expand(steps, *x.shape)).mean(0), expected)


def test_lmht_from_qcfs_close_in_float32_with_residuals():
    torch.manual_seed(3)
    network = randomise(Residual(lambda: QCFS(8, 3.0))).eval()
    x = torch.rand(4, 2, 4, 4)
    spiking = lmht_from_qcfs(network, 4)
    torch.testing.assert_close(spiking(x.expand(4, *x.shape)).mean(0), network(x), rtol=1e-4, atol=1e-4)


def test_lmht_refuses_steps_that_do_not_divide():
    with pytest.raises(InputError, match="8 levels are not a multiple of 3 steps"):
        lmht_from_qcfs(nn.Sequential(QCFS(8)), 3)
    assert lmht_from_qcfs(nn.Sequential(QCFS(8)), 3, levels=2).module[0].levels == 2


def test_direct_lmht():
    network = direct_lmht(nn.Sequential(nn.Linear(3, 4), nn.ReLU()), levels=4, steps=2)
    neuron = network.module[1]
    assert (neuron.levels, neuron.steps, neuron.threshold.item(), neuron.v_init) == (4, 2, 0.5, 0.0)
    torch.testing.assert_close(neuron.mixing, torch.full((2, 2), 0.5))
