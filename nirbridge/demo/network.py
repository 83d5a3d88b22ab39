"""The demo's network and where its weights come from."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from nirbridge.neurons import MultiLevelLIF

WEIGHTS = Path(__file__).with_name("weights.safetensors")
"""Trained by ``examples/train_demo.py``: multiples of 2^-6, so that every runtime computes the same numbers."""


class DemoNetwork(nn.Module):
    """A convolution and two dense layers with one-hot M-LIF neurons, S = 3, hard reset, decay 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 8, 3, stride=2, padding=1, bias=False)
        self.conv_act = MultiLevelLIF(lanes=3, decay=0.5, reset="value", surrogate="tet")
        self.flatten = nn.Flatten()
        self.hidden = nn.Linear(8 * 8 * 8, 48, bias=False)
        self.hidden_act = MultiLevelLIF(lanes=3, decay=0.5, reset="value", surrogate="tet")
        self.readout = nn.Linear(48, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 2, 16, 16] -> [N, 10]."""
        x = self.conv_act(self.conv(x))
        x = self.hidden_act(self.hidden(self.flatten(x)))
        return self.readout(x)
