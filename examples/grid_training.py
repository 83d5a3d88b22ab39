"""What the training examples share: weights on a dyadic grid, and a plain training loop."""

from __future__ import annotations

import sys

import click
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

GRID = 2.0**-6


class OnGrid(nn.Module):
    """Rounds weights to multiples of 2^-6; the gradient passes as if it did not."""

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight."""
        return weight + (torch.round(weight / GRID) * GRID - weight).detach()


def put_on_grid(network: nn.Module) -> None:
    """Trains every convolution and linear layer through rounded weights from now on."""
    for module in network.modules():
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear)):
            parametrize.register_parametrization(module, "weight", OnGrid())


def keep_grid(network: nn.Module) -> None:
    """Makes the rounded weights the weights."""
    for module in network.modules():
        if parametrize.is_parametrized(module):
            parametrize.remove_parametrizations(module, "weight", leave_parametrized=True)


def train(network: nn.Module, x: Tensor, labels: Tensor, epochs: int, roll: int, batch: int = 40) -> None:
    """Trains on frames [T, N, P, H, W]: cross-entropy of the mean output over time, Adam with a cosine schedule.

    Args:
        network: takes [T, B, P, H, W] and gives [T, B, classes].
        x: the frames.
        labels: classes [N].
        epochs: passes over the data.
        roll: each batch is moved by up to this many pixels.
        batch: samples a step.
    """
    put_on_grid(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    network.train()
    with click.progressbar(range(epochs), label="Training", file=sys.stderr) as bar:
        for _ in bar:
            for chosen in torch.randperm(len(labels)).split(batch):
                shift = [int(n) for n in torch.randint(-roll, roll + 1, (2,))]
                logits = network(x[:, chosen].roll(shift, (-2, -1))).mean(0)
                loss = nn.functional.cross_entropy(logits, labels[chosen], label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            schedule.step()
    keep_grid(network)
    network.eval()
