"""Small analog networks, data for them, and training that takes a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """64 → 48 → 32 → 10 with a batch normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 48), nn.Linear(48, 32), nn.Linear(32, 10)
        self.bn = nn.BatchNorm1d(48)
        self.act1, self.act2 = nn.ReLU(inplace=True), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act1(self.bn(self.fc1(x.flatten(1))))
        return self.fc3(self.act2(self.fc2(x)))


class Cnn(nn.Module):
    """Two convolutions with a residual sum, max and average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12)
        self.conv2, self.bn2 = nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12)
        self.maxpool, self.avgpool = nn.MaxPool2d(2), nn.AvgPool2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(x))
        out += x
        out = self.avgpool(self.maxpool(self.relu(out)))
        return self.fc(self.drop(torch.flatten(out, 1)))


class Block(nn.Module):
    """A basic block of CIFAR ResNets; its shortcut is a convolution where shapes change."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer)
        self.shortcut = nn.Sequential()
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer))

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class Resnet(nn.Module):
    """Three blocks between a convolution and a classifier, as CIFAR defines ResNet-20 in small."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.layers = nn.Sequential(
            Block(width, width), Block(width, 2 * width, 2), Block(2 * width, 4 * width, 2), nn.Identity()
        )
        self.linear = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(functional.relu(self.bn1(self.conv1(x))))
        out = functional.avg_pool2d(out, out.size()[3])
        return self.linear(out.view(out.size(0), -1))


class PreBlock(nn.Module):
    """BN → ReLU → convolution, twice, added to a stream that is never rectified."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1, self.bn2 = nn.BatchNorm2d(inner), nn.BatchNorm2d(outer)
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.shortcut = nn.Conv2d(inner, outer, 1, stride, bias=False) if stride != 1 or inner != outer else None

    def forward(self, x: Tensor) -> Tensor:
        active = functional.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(functional.relu(self.bn2(self.conv1(active)))) + shortcut


class PreResnet(nn.Module):
    """A residual network with pre-activation in small; its stem has no ReLU."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 1, 1, bias=False)
        self.blocks = nn.Sequential(PreBlock(width, width), PreBlock(width, 2 * width, 2), PreBlock(2 * width, 16))
        self.bn, self.fc = nn.BatchNorm2d(16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(functional.relu(self.bn(self.blocks(self.stem(x)))).mean((2, 3)))


@dataclass(frozen=True)
class Trained:
    """A trained network with its data: [N, 1, 8, 8] in 0..1, multiples of 1/16."""

    module: nn.Module
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray

    def accuracy(self, outputs: np.ndarray) -> float:
        """Share of right answers of [N, 10] on the test data, in percent."""
        return float(100 * (outputs.argmax(1) == self.labels).mean())

    def analog(self) -> np.ndarray:
        """The network's own outputs on the test data."""
        with torch.no_grad():
            return self.module(torch.as_tensor(self.test)).numpy()


def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """scikit-learn's digits as training pictures and labels, test pictures and labels."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = pictures.reshape(-1, 1, 8, 8) / 16.0
    order = np.random.default_rng(0).permutation(len(pictures))
    train, test = order[:1297], order[1297:]
    return pictures[train], labels[train], pictures[test], labels[test]


def trained(module: nn.Module, epochs: int) -> Trained:
    """``module`` trained on digits, in double precision and evaluation mode."""
    train, train_labels, test, labels = digits()
    x, y = torch.as_tensor(train).float(), torch.as_tensor(train_labels)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), 5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * 21)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(module(x[batch]), y[batch]).backward()
            optimizer.step()
            schedule.step()
    return Trained(module.double().eval(), train, test, labels)


def with_statistics(module: nn.Module, seed: int = 0, negative: bool = False) -> nn.Module:
    """Batch normalisations as training would leave them; some scales below 0 where ``negative``."""
    generator = torch.Generator().manual_seed(seed)
    for inner in module.modules():
        if isinstance(inner, nn.modules.batchnorm._BatchNorm):
            size = (inner.num_features,)
            inner.running_mean.copy_(torch.randn(size, generator=generator) * 0.1)
            inner.running_var.copy_(torch.rand(size, generator=generator) + 0.5)
            gain = torch.rand(size, generator=generator) + 0.5
            if negative:
                gain[::3] *= -1
            inner.weight.data.copy_(gain)
            inner.bias.data.copy_(torch.randn(size, generator=generator) * 0.2)
    return module.eval()
