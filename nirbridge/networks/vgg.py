"""VGG networks: plain chains of convolutions."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from nirbridge.errors import InputError
from nirbridge.networks.parts import MakeNeuron, Size, checked_counts, checked_size, conv_norm, default_neuron
from nirbridge.neurons import TimeDropout

_MULTIPLES = (1, 2, 4, 8, 8)
_LARGE = 64
_POOLINGS: dict[str, type[nn.Module]] = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}


class VGG(nn.Module):
    """Stages of 3x3 convolutions with batch normalisation, pooled between, and three linear layers.

    Width w gives channels w, 2w, 4w, 8w, 8w and hidden layers of 64w; the papers' width is 64. Inputs below 64 pixels
    are pooled four times, as the published CIFAR networks are (338.4 M MAC at 32x32 and width 64), larger ones five.

    Args:
        stages: convolutions in each of the five stages.
        num_classes: size of the output.
        input_shape: (C, H, W), sides that are multiples of 16 (of 32 from 64 pixels on).
        width: w.
        neuron: makes one layer of neurons.
        pooling: "avg" or "max".
        dropout: share of hidden values dropped in the classifier while training.
        dropout_mask: "image" or "step", see :class:`nirbridge.neurons.TimeDropout`.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit.

    Source: Abillama et al., IEEE Access 2025 (VGG-16); Hao et al., NeurIPS 2024 (VGG-13, VGG-16).
    """

    def __init__(
        self,
        stages: tuple[int, ...],
        num_classes: int = 10,
        input_shape: Size = (3, 32, 32),
        width: int = 64,
        neuron: MakeNeuron = default_neuron,
        pooling: str = "avg",
        dropout: float = 0.0,
        dropout_mask: str = "image",
    ) -> None:
        super().__init__()
        pools = len(stages) if min(input_shape[1:], default=0) >= _LARGE else len(stages) - 1
        channels, height, breadth = checked_size("VGG", input_shape, pools)
        checked_counts("VGG", width=width, num_classes=num_classes)
        if pooling not in _POOLINGS:
            raise InputError("VGG", f"unknown pooling {pooling!r}", "Use 'avg' or 'max'")
        layers: list[nn.Module] = []
        for stage, count in enumerate(stages):
            for _ in range(count):
                layers += [conv_norm(channels, width * _MULTIPLES[stage]), neuron()]
                channels = width * _MULTIPLES[stage]
            if stage < pools:
                layers.append(_POOLINGS[pooling](2))
        self.features = nn.Sequential(*layers)
        hidden, places = 64 * width, (height >> pools) * (breadth >> pools)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * places, hidden),
            neuron(),
            TimeDropout(dropout, dropout_mask),
            nn.Linear(hidden, hidden),
            neuron(),
            TimeDropout(dropout, dropout_mask),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        result: Tensor = self.classifier(self.features(x))
        return result


def vgg13(num_classes: int = 200, input_shape: Size = (3, 64, 64), width: int = 64, **options: Any) -> VGG:
    """VGG-13; options as of :class:`VGG`."""
    return VGG((2, 2, 2, 2, 2), num_classes, input_shape, width, **options)


def vgg16(num_classes: int = 10, input_shape: Size = (3, 32, 32), width: int = 64, **options: Any) -> VGG:
    """VGG-16; options as of :class:`VGG`."""
    return VGG((2, 2, 3, 3, 3), num_classes, input_shape, width, **options)


class VGGSNN(nn.Module):
    """The network for event recordings, strides in place of pooling ("VGGSNNwoAP" in the public code).

    3x3 convolutions with batch normalisation: channels w, 2w (stride 2), 4w, 4w (2), 8w, 8w (2), 8w, 8w (2), each with
    neurons, then one linear layer. The paper's width is 64.

    Args:
        num_classes: size of the output.
        input_shape: (C, H, W), sides that are multiples of 16.
        width: w.
        neuron: makes one layer of neurons.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit.

    Source: Abillama et al., IEEE Access 2025, DVS-CIFAR10.
    """

    def __init__(
        self,
        num_classes: int = 10,
        input_shape: Size = (2, 48, 48),
        width: int = 64,
        neuron: MakeNeuron = default_neuron,
    ) -> None:
        super().__init__()
        channels, height, breadth = checked_size("VGGSNN", input_shape, 4)
        checked_counts("VGGSNN", width=width, num_classes=num_classes)
        layers: list[nn.Module] = []
        for multiple, stride in ((1, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2), (8, 1), (8, 2)):
            layers += [conv_norm(channels, width * multiple, stride=stride), neuron()]
            channels = width * multiple
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.classifier = nn.Linear(channels * (height // 16) * (breadth // 16), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        result: Tensor = self.classifier(self.features(x))
        return result
