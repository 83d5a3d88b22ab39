"""A training step of a small network, against its plain network and spikingjelly."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.neurons import MultiLevelLIF, OverTime, Triangle

from .measuring import OURS, Row, Section, in_turns, only, over, profiled

NAME, TITLE = "training", "A training step"
ABOUT = """A small VGG (3×3 convolutions of 32, 32, 64, 64 channels with batch normalisation and neurons, two average
pools, one linear layer; 2×32×32 in), T = 4, B = 16: forward, cross entropy of the mean over time, backward. CPU time
of one thread. Ours are LIF neurons (M-LIF of one lane, decay 1/2, reset by subtraction, a triangle as surrogate);
spikingjelly's the same LIFNode by its torch backend, many steps at once; the ANN has ReLU in their place on the same
T·B frames. `python benchmarks/neurons_training.py` measures the neurons alone."""
STEPS, BATCH, SIZE = 4, 16, 32
ANN, PEER = "ANN", "spikingjelly, torch"
OVER_ANN, FASTER = 1.06, 1.35
WHY = {
    "ANN": "Neurons keep membranes for the backward pass and read them again, which ReLU does not.",
    "spikingjelly": "The convolutions are the same on both sides; only what stands between them can be faster.",
}


def network(neuron: Callable[[], nn.Module], size: int, width: int) -> nn.Sequential:
    """The layers, for plain batches."""
    layers: list[nn.Module] = []
    channels = 2
    for stage in (1, 2):
        for _ in range(2):
            layers += [
                nn.Conv2d(channels, stage * width, 3, padding=1, bias=False),
                nn.BatchNorm2d(stage * width),
                neuron(),
            ]
            channels = stage * width
        layers.append(nn.AvgPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * (size // 4) ** 2, 10))


class Folded(nn.Module):
    """A plain network on all frames at once, [T, B, ...]."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def with_spikingjelly(plain: nn.Sequential) -> nn.Module:
    """The same weights around spikingjelly's LIFNode.

    Raises:
        ImportError: it is not installed.
    """
    from spikingjelly.activation_based import functional as steps
    from spikingjelly.activation_based import layer, neuron, surrogate

    def lif() -> nn.Module:
        # Its threshold is 1 in u - 1 as ours, decay 1 - 1/tau; the quadratic's slope is the triangle 1 - |u - 1|.
        return neuron.LIFNode(
            tau=2.0, decay_input=False, v_threshold=1.0, v_reset=None, detach_reset=True, step_mode="m",
            surrogate_function=surrogate.PiecewiseQuadratic(alpha=1.0),
        )  # fmt: skip

    plain = copy.deepcopy(plain)
    modules = [lif() if isinstance(m, nn.ReLU) else layer.SeqToANNContainer(m) for m in plain]

    class Network(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            steps.reset_net(self)
            return super().forward(x)

    return Network(*modules)


def spiking(network: nn.Sequential, x: Tensor) -> float:
    """The least share of neurons that spike, over the layers."""
    shares: list[float] = []
    neurons = [module for module in network if isinstance(module, MultiLevelLIF)]
    hooks = [n.register_forward_hook(lambda _, __, y: shares.append(float((y != 0).float().mean()))) for n in neurons]
    with torch.no_grad():
        OverTime(network)(x)
    for hook in hooks:
        hook.remove()
    return min(shares)


def one_step(module: nn.Module, x: Tensor, labels: Tensor) -> Tensor:
    """Forward and backward; the loss."""
    module.zero_grad(set_to_none=True)
    loss = functional.cross_entropy(module(x).mean(0), labels)
    loss.backward()
    return loss


def require_same(ours: nn.Module, theirs: nn.Module, x: Tensor, labels: Tensor) -> float:
    """All gradients and the loss, in double precision, where no rounding turns a spike; the loss."""
    ours, theirs = copy.deepcopy(ours).double(), copy.deepcopy(theirs).double()
    losses = [one_step(module, x.double(), labels) for module in (ours, theirs)]
    torch.testing.assert_close(*losses)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-6, atol=1e-6 * float(b.grad.abs().max()))
    return float(losses[0].detach())


def measure(quick: bool = False) -> Section:
    """All rows."""
    torch.manual_seed(0)
    size, width, batch = (8, 4, 2) if quick else (SIZE, 32, BATCH)
    plain = network(nn.ReLU, size, width)
    ours = network(lambda: MultiLevelLIF(1, 1.0, 0.5, surrogate=Triangle(1.0)), size, width)
    ours.load_state_dict(plain.state_dict(), strict=False)  # without thresholds
    networks: dict[str, nn.Module] = {OURS: OverTime(ours), ANN: Folded(plain)}
    section = Section()
    try:
        networks[PEER] = with_spikingjelly(plain)
    except ImportError as error:
        section.notes.append(f"spikingjelly is left out: {error}.")
    x = (torch.rand(STEPS, batch, 2, size, size) < 0.3).float() * 2
    labels = torch.randint(10, (batch,))
    runs = {name: lambda module=module: one_step(module, x, labels) for name, module in networks.items()}
    if PEER in runs:
        loss = require_same(networks[OURS], networks[PEER], x, labels)
        section.notes.append(f"In double precision loss ({loss:.6f}) and all gradients equal spikingjelly's.")
    section.notes.append(f"At least {spiking(ours, x):.0%} of a layer's neurons spike a step.")
    seconds = in_turns(runs, 1 if quick else 11)
    section.rows.append(
        Row(
            "training step over the ANN", over(seconds, OURS, ANN), OVER_ANN,
            seconds=only(seconds, *runs), profile=profiled(runs[OURS]),
        )
    )  # fmt: skip
    if PEER in runs:
        values = over(seconds, PEER, OURS)
        section.rows.append(Row(f"training step, faster than {PEER}", values, FASTER, "at least"))
    return section
