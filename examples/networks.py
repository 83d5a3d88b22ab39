"""Small networks to export:

nirbridge export examples/networks.py:mlp -o model.nir --input-shape 2,16,16
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from nirbridge.neurons import MultiLevelIF, MultiLevelLIF


def mlp() -> nn.Module:
    """A multi-layer perceptron for 2x16x16 frames, with 3-lane M-LIF neurons."""
    layers = {
        "flatten": nn.Flatten(),
        "fc1": nn.Linear(512, 64),
        "act1": MultiLevelLIF(lanes=3, decay=0.5),
        "fc2": nn.Linear(64, 10),
    }
    return nn.Sequential(OrderedDict(layers))


def ann() -> nn.Module:
    """A ReLU network for 8x8 pictures, to be converted; train it first, or pass its weights with --weights."""
    layers = {
        "conv": nn.Conv2d(1, 8, 3, padding=1),
        "act": nn.ReLU(),
        "pool": nn.AvgPool2d(2),
        "flatten": nn.Flatten(),
        "readout": nn.Linear(128, 10),
    }
    return nn.Sequential(OrderedDict(layers))


class Residual(nn.Module):
    """A residual block of multi-level IF neurons: the shortcut adds to the current of the second neuron."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(channels)
        self.act1 = MultiLevelIF(levels=4)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.act2 = MultiLevelIF(levels=4)
        self.pool = nn.AdaptiveAvgPool2d(4)
        self.readout = nn.Linear(channels * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 2, H, W] -> [N, 10]."""
        x = self.act1(self.norm1(self.conv1(x)))
        x = self.act2(self.conv2(x) + x)
        return self.readout(self.pool(x).flatten(1))
