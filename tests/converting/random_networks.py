"""Networks of layers drawn at random."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn import functional


class RandomNetwork(nn.Module):
    """Convolutions, normalisation, pooling, residual sums, factors and offsets on [N, 2, 8, 8], then a classifier."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = np.random.default_rng(seed)
        self.layers, self.steps = nn.ModuleList(), []
        self.channels, self.size = 2, 8
        for kind in self.generator.choice(list(_DRAWN), self.generator.integers(3, 9)):
            _DRAWN[kind](self)
        self.fc = nn.Linear(self.channels * self.size**2, 4)

    def put(self, layer: nn.Module, kind: str = "layer") -> None:
        self.layers.append(layer)
        self.steps.append((kind, len(self.layers) - 1))

    def convolution(self) -> None:
        width = int(self.generator.integers(2, 6))
        self.put(nn.Conv2d(self.channels, width, 3, padding=1, bias=bool(self.generator.integers(2))))
        self.channels = width
        if self.generator.integers(2):
            self.put(nn.BatchNorm2d(width))
        if self.generator.integers(4):
            self.put(nn.ReLU())

    def pool(self) -> None:
        if self.size > 2:
            kinds = (nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2))
            self.put(kinds[self.generator.integers(3)])
            self.size //= 2

    def residual(self) -> None:
        self.put(nn.Conv2d(self.channels, self.channels, 3, padding=1), "residual")

    def forward(self, x: Tensor) -> Tensor:
        for kind, value in self.steps:
            if kind == "layer":
                x = self.layers[value](x)
            elif kind == "residual":
                x = x + self.layers[value](functional.relu(x))
            else:
                x = x * value if kind == "factor" else x + value
        return self.fc(x.flatten(1))


_DRAWN = {
    "convolution": RandomNetwork.convolution,
    "another convolution": RandomNetwork.convolution,
    "relu": lambda net: net.put(nn.ReLU()),
    "norm": lambda net: net.put(nn.BatchNorm2d(net.channels)),
    "pool": RandomNetwork.pool,
    "residual": RandomNetwork.residual,
    "factor": lambda net: net.steps.append(("factor", float(net.generator.choice([0.5, -1.0, 2.0])))),
    "offset": lambda net: net.steps.append(("offset", float(net.generator.standard_normal() * 0.1))),
}
