"""Residual networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from nirbridge.networks.barriers import make_barrier
from nirbridge.networks.blocks import BLOCKS
from nirbridge.networks.parts import MakeNeuron, Size, checked_counts, checked_size, conv_norm, default_neuron
from nirbridge.neurons import MultiLevelIF
from nirbridge.neurons.arguments import choose

_LARGE = 64


class ResNet(nn.Module):
    """A stem, stages of residual blocks, the mean over all places, and a linear layer.

    Stage k has 2^k · width channels; every stage but the first begins with stride 2. From 64 pixels on the stem is a
    7x7 convolution of stride 2 and a pooling, below a 3x3 convolution.

    Args:
        stages: blocks in each stage.
        num_classes: size of the output.
        input_shape: (C, H, W).
        width: channels of the first stage.
        neuron: makes one layer of neurons.
        block: "spiking", "sew", "ms" or "sparse", see :mod:`nirbridge.networks.blocks`.
        barrier: makes one barrier for "sparse"; by default one of the neuron's levels and threshold.
        hidden: size of a linear layer with neurons before the last, or 0.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit, or an unknown block.

    Source: Abillama et al., IEEE Access 2025 (ResNet-20); Castagnetti, Pegatoquet and Miramond, 2025
    (ResNet-18 with the four blocks); Hao et al., NeurIPS 2024 (ResNet-18, -19, -20).
    """

    def __init__(
        self,
        stages: tuple[int, ...],
        num_classes: int = 10,
        input_shape: Size = (3, 32, 32),
        width: int = 64,
        neuron: MakeNeuron = default_neuron,
        block: str = "spiking",
        barrier: MakeNeuron | None = None,
        hidden: int = 0,
    ) -> None:
        super().__init__()
        choose("ResNet", "block", block, tuple(BLOCKS))
        large = min(input_shape[1:], default=0) >= _LARGE
        channels, _, _ = checked_size("ResNet", input_shape, 0)
        checked_counts("ResNet", width=width, num_classes=num_classes)
        pre_activated = block == "ms"
        self.stem = conv_norm(channels, width, kernel=7 if large else 3, stride=2 if large else 1)
        self.stem_act = nn.Identity() if pre_activated else neuron()
        self.stem_pool = nn.AvgPool2d(2) if large else nn.Identity()
        blocks: list[nn.Module] = []
        barrier = barrier or partial(make_barrier, neuron())
        channels = width
        for stage, count in enumerate(stages):
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                blocks.append(BLOCKS[block](channels, width << stage, stride, neuron, barrier))
                channels = width << stage
        self.blocks = nn.Sequential(*blocks)
        self.last_act = neuron() if pre_activated else nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.hidden = nn.Sequential(nn.Linear(channels, hidden), neuron()) if hidden else nn.Identity()
        self.classifier = nn.Linear(hidden or channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        x = self.stem_pool(self.stem_act(self.stem(x)))
        x = self.last_act(self.blocks(x))
        result: Tensor = self.classifier(self.hidden(self.flatten(self.pool(x))))
        return result


def sparse_neuron() -> nn.Module:
    """Multi-level IF with N = 4, as Sparse-ResNet has it."""
    return MultiLevelIF(4)


def resnet18(num_classes: int = 10, input_shape: Size = (3, 32, 32), width: int = 64, **options: Any) -> ResNet:
    """ResNet-18: stages of 2, 2, 2, 2 blocks; options as of :class:`ResNet`."""
    return ResNet((2, 2, 2, 2), num_classes, input_shape, width, **options)


def resnet34(num_classes: int = 1000, input_shape: Size = (3, 224, 224), width: int = 64, **options: Any) -> ResNet:
    """ResNet-34: stages of 3, 4, 6, 3 blocks; options as of :class:`ResNet`."""
    return ResNet((3, 4, 6, 3), num_classes, input_shape, width, **options)


def resnet19(num_classes: int = 10, input_shape: Size = (3, 32, 32), width: int = 128, **options: Any) -> ResNet:
    """ResNet-19: stages of 3, 3, 2 blocks and a hidden linear layer of 2·width; options as of :class:`ResNet`."""
    return ResNet((3, 3, 2), num_classes, input_shape, width, **{"hidden": 2 * width} | options)


def resnet20(num_classes: int = 10, input_shape: Size = (3, 32, 32), width: int = 16, **options: Any) -> ResNet:
    """ResNet-20 for small images: stages of 3, 3, 3 blocks; options as of :class:`ResNet`."""
    return ResNet((3, 3, 3), num_classes, input_shape, width, **options)


def sparse_resnet18(num_classes: int = 10, input_shape: Size = (3, 32, 32), width: int = 64, **options: Any) -> ResNet:
    """ResNet-18 of multi-level IF neurons (N = 4) with a barrier behind every sum; options as of :class:`ResNet`."""
    return resnet18(num_classes, input_shape, width, **{"neuron": sparse_neuron, "block": "sparse"} | options)


RESNETS: dict[str, Callable[..., ResNet]] = {
    "resnet18": resnet18,
    "resnet19": resnet19,
    "resnet20": resnet20,
    "resnet34": resnet34,
    "sparse-resnet18": sparse_resnet18,
}
"""By name; they alone take ``barrier``."""
