"""One epoch of training and one of testing, on any device, in any precision, in one or several processes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.training.losses import Loss
from training.distributed import Processes

Batches = Iterable[tuple[Tensor, Tensor]]
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Precision:
    """What matrix products and convolutions are computed in; neurons always compute in their threshold's type.

    Attributes:
        name: "float32", "bfloat16" or "float16".
        device: "cpu" or "cuda".

    Raises:
        InputError: float16 on a CPU, whose gradients would need loss scaling there.
    """

    name: str
    device: str

    def __post_init__(self) -> None:
        if self.name == "float16" and self.device == "cpu":
            raise InputError("precision 'float16'", "needs a GPU", "Use bfloat16 or float32 on the CPU")

    def cast(self) -> AbstractContextManager[None]:
        """The context for forward passes."""
        return torch.autocast(self.device, _DTYPES[self.name], enabled=self.name != "float32")

    def scaler(self) -> torch.amp.GradScaler:
        """Scales the loss where small gradients would vanish, which is float16 alone."""
        return torch.amp.GradScaler(self.device, enabled=self.name == "float16")


def train_epoch(
    network: nn.Module,
    batches: Batches,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    precision: Precision,
    scaler: torch.amp.GradScaler,
    processes: Processes,
) -> tuple[float, float]:
    """One pass over ``batches`` of frames [T, B, ...] and classes [B] or [B, *places], see :func:`asked`.

    Returns:
        The mean loss over all samples and the share of them decided rightly, over all processes.

    Raises:
        InputError: the loss is not finite any more.
    """
    network.train()
    sums = torch.zeros(3, dtype=torch.float64)
    for x, labels in batches:
        x, labels = x.to(processes.device), labels.to(processes.device)
        with precision.cast():
            outputs = network(x)
        outputs, labels = asked(outputs, labels)
        value = loss(outputs.float(), labels)
        if not bool(torch.isfinite(value)):
            raise InputError("training", f"the loss became {value.item()}", "Lower the learning rate")
        optimizer.zero_grad()
        scaler.scale(value).backward()
        scaler.step(optimizer)
        scaler.update()
        right = (outputs.detach().mean(0).argmax(1) == labels).sum()
        sums += torch.tensor([value.item() * len(labels), float(right), len(labels)], dtype=torch.float64)
    total = processes.total(sums)
    _require_samples(total)
    return float(total[0] / total[2]), float(total[1] / total[2])


def evaluate(network: nn.Module, batches: Batches, precision: Precision, processes: Processes) -> float:
    """The share of samples whose mean output over time is largest for the right class, over all processes."""
    network.eval()
    sums = torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for x, labels in batches:
            x, labels = x.to(processes.device), labels.to(processes.device)
            with precision.cast():
                outputs = network(x)
            outputs, labels = asked(outputs, labels)
            decided = outputs.float().mean(0).argmax(1)
            sums += torch.tensor([0.0, float((decided == labels).sum()), len(labels)], dtype=torch.float64)
    total = processes.total(sums)
    _require_samples(total)
    return float(total[1] / total[2])


def asked(outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Every place as a sample of its own, as the nodes of a graph are; without those whose class is below 0.

    Args:
        outputs: [T, B, classes, *places].
        labels: [B, *places].

    Returns:
        Outputs [T, N, classes] and classes [N].

    Raises:
        InputError: the shapes do not fit.
    """
    if outputs.ndim < 3 or (outputs.shape[1], *outputs.shape[3:]) != tuple(labels.shape):
        found = f"outputs of shape {tuple(outputs.shape)} and labels of shape {tuple(labels.shape)}"
        next_step = "Wrap the network in OverTime, and give a class for each place"
        raise InputError("training", f"{found} are not [T, B, classes, *places] and [B, *places]", next_step)
    rows = outputs.reshape(*outputs.shape[:3], -1).transpose(2, 3).flatten(1, 2)
    known = labels.flatten() >= 0
    return rows[:, known], labels.flatten()[known]


def _require_samples(total: Tensor) -> None:
    if not total[2] > 0:
        raise InputError("data", "hold no sample", "Check the folder")
