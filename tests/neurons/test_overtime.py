"""OverTime: a network written for plain batches, run over a sequence, equals a loop over its steps."""

import pytest
import torch
from torch import nn

from nirbridge.errors import InputError
from nirbridge.neurons import LMHT, Barrier, MultiLevelIF, MultiLevelLIF, OverTime, time_steps

STEPS, BATCH = 6, 3


class Residual(nn.Module):
    """Ordinary forward code: a shortcut added to the current of the second neuron."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.shortcut = nn.Conv2d(2, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.act1 = MultiLevelLIF(3, 0.4, decay=0.75, learn_threshold=True, learn_decay=True)
        self.act2 = MultiLevelLIF(2, 0.5, decay=0.5, reset="value")
        self.out = nn.Linear(4 * 4 * 4, 5)

    def forward(self, x):
        hidden = self.act1(self.norm(self.first(x)))
        y = self.act2(self.second(hidden) + self.shortcut(x))
        return self.out(torch.flatten(nn.functional.avg_pool2d(y, 2), 1))


def ready(module):
    """Double precision, evaluation mode, BatchNorm with statistics of its own."""
    for inner in module.modules():
        if isinstance(inner, nn.BatchNorm2d):
            inner.running_mean.uniform_(-0.2, 0.2)
            inner.running_var.uniform_(0.5, 1.5)
    return module.double().eval()


def sequence(*shape):
    return torch.randn(STEPS, BATCH, *shape, dtype=torch.float64) * 2


def step_by_step(net, x):
    """Each stateless layer once per step, each neuron on the steps gathered so far."""
    conv, norm, act, flat, linear = net
    currents = torch.stack([norm(conv(frame)) for frame in x])
    return torch.stack([linear(flat(spikes)) for spikes in act(currents)])


def test_sequential_equals_a_loop_over_steps():
    torch.manual_seed(0)
    net = ready(
        nn.Sequential(
            nn.Conv2d(2, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            MultiLevelLIF(3, 0.3, decay=0.5),
            nn.Flatten(1),
            nn.Linear(4 * 3 * 3, 5),
        )
    )
    x = sequence(2, 8, 8)
    inputs, again = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = OverTime(net)(inputs)
    expected = step_by_step(net, again)
    assert y.shape == (STEPS, BATCH, 5)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-13)
    weight = torch.randn_like(y)
    wanted = torch.autograd.grad((expected * weight).sum(), [again, *net.parameters()])
    found = torch.autograd.grad((y * weight).sum(), [inputs, *net.parameters()])
    assert all(g.abs().max() > 0 for g in found)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-11)


def test_ordinary_forward_code_with_a_residual():
    torch.manual_seed(1)
    net = ready(Residual())
    x = sequence(2, 8, 8)
    hidden = net.act1(torch.stack([net.norm(net.first(frame)) for frame in x]))
    both = torch.stack([net.second(h) + net.shortcut(frame) for h, frame in zip(hidden, x, strict=True)])
    expected = torch.stack([net.out(nn.functional.avg_pool2d(y, 2).flatten(1)) for y in net.act2(both)])
    torch.testing.assert_close(OverTime(net)(x), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "neuron",
    [MultiLevelLIF(3, 0.5, decay=0.5), MultiLevelIF(4), Barrier(4), LMHT(2, STEPS, 0.5)],
    ids=lambda n: type(n).__name__,
)
def test_each_neuron_unfolds_time_by_itself(neuron):
    torch.manual_seed(2)
    x = sequence(4)
    assert torch.equal(OverTime(neuron.double())(x), neuron(x))


def test_samples_of_a_batch_do_not_touch_each_other():
    torch.manual_seed(3)
    net, x = OverTime(ready(Residual())), sequence(2, 8, 8)
    one_by_one = torch.cat([net(x[:, b : b + 1]) for b in range(BATCH)], dim=1)
    torch.testing.assert_close(net(x), one_by_one, rtol=0, atol=1e-13)


def test_the_wrapped_module_and_the_step_count_are_public():
    seen = []

    class Look(nn.Module):
        def forward(self, x):
            seen.append((time_steps(), tuple(x.shape)))
            return x

    look = Look()
    net = OverTime(look)
    assert net.module is look
    net(torch.zeros(4, 2, 3))
    assert seen == [(4, (8, 3))]
    assert time_steps() is None


def test_the_step_count_ends_with_the_call_even_after_an_error():
    with pytest.raises(RuntimeError):
        OverTime(nn.Linear(3, 2))(torch.zeros(4, 2, 5))
    assert time_steps() is None


def test_gradient_check_of_the_stateless_path():
    net = OverTime(nn.Sequential(nn.Linear(3, 2), nn.Tanh())).double()
    x = torch.randn(2, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(net, (x,))


class Inside(nn.Module):
    """Builds an OverTime where its constructor cannot see it."""

    def forward(self, x):
        return OverTime(nn.Identity())(x)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("build", "shape", "words"),
    [
        (lambda: OverTime(nn.Sequential(OverTime(nn.Identity()))), (2, 2, 3), "holds another OverTime"),
        (lambda: OverTime(Inside()), (2, 2, 3), "inside another OverTime"),
        (lambda: OverTime(torch.relu), (2, 2, 3), "not a torch module"),
        (lambda: OverTime(nn.Identity()), (3,), "not [T, B, ...]"),
        (lambda: OverTime(nn.Identity()), (0, 2, 3), "not [T, B, ...]"),
        (lambda: OverTime(nn.Flatten(0)), (2, 2, 3), "axis 0"),
        (
            lambda: OverTime(nn.Sequential(nn.Flatten(0, 0), nn.Unflatten(0, (1, 4)), MultiLevelLIF())),
            (2, 2, 3),
            "axis 0",
        ),
        (lambda: OverTime(Pair()), (2, 2, 3), "a tuple"),
        (lambda: OverTime(nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 2))), (2, 2, 3), "layer '1' (GRU)"),
        (lambda: OverTime(nn.LSTMCell(3, 2)), (2, 2, 3), "(LSTMCell)"),
    ],
)
def test_misuse_is_one_clear_line(build, shape, words):
    with pytest.raises(InputError) as caught:
        build()(torch.zeros(shape))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert time_steps() is None


def test_a_neuron_of_norse_is_refused():
    norse = pytest.importorskip("norse.torch")
    for layer in (norse.LIFCell(), norse.LIF()):
        with pytest.raises(InputError, match="layer '0' \\(LIF"):
            OverTime(nn.Sequential(layer))


@pytest.mark.parametrize(
    ("home", "name"),
    [
        ("snntorch._neurons.neurons", "SpikingNeuron"),
        ("spikingjelly.activation_based.neuron.base_node", "BaseNode"),
        ("spikingjelly.activation_based.neuron", "BaseNode"),
        ("sinabs.layers.stateful_layer", "StatefulLayer"),
    ],
)
def test_a_neuron_of_another_framework_is_refused(home, name):
    """It would take [T*B, ...] for one step of a batch, and never keep a state from step to step."""
    parent = type(name, (nn.Module,), {"__module__": home})
    layer = type("Leaky", (parent,), {"__module__": f"{home.rpartition('.')[0]}.leaky"})()
    with pytest.raises(InputError, match="layer '1' \\(Leaky\\) has a state of its own"):
        OverTime(nn.Sequential(nn.Linear(3, 3), layer))
