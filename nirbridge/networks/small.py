"""Two networks for small data: digits of 8x8 pixels, N-MNIST."""

from __future__ import annotations

from torch import Tensor, nn

from nirbridge.networks.parts import MakeNeuron, Size, checked_counts, checked_size, conv_norm, default_neuron
from nirbridge.neurons import TimeDropout


class SmallConv(nn.Module):
    """Two 3x3 convolutions of stride 2 with batch normalisation, neurons behind each, and a linear layer.

    Channels w and 2w.

    Args:
        num_classes: size of the output.
        input_shape: (C, H, W).
        width: w.
        neuron: makes one layer of neurons.
        dropout: share of the last layer's inputs dropped while training.
        dropout_mask: "image" or "step", see :class:`nirbridge.neurons.TimeDropout`.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit.
    """

    def __init__(
        self,
        num_classes: int = 10,
        input_shape: Size = (2, 34, 34),
        width: int = 12,
        neuron: MakeNeuron = default_neuron,
        dropout: float = 0.0,
        dropout_mask: str = "image",
    ) -> None:
        super().__init__()
        channels, height, breadth = checked_size("SmallConv", input_shape, 0)
        checked_counts("SmallConv", width=width, num_classes=num_classes)
        self.conv1 = conv_norm(channels, width, stride=2)
        self.act1 = neuron()
        self.conv2 = conv_norm(width, 2 * width, stride=2)
        self.act2 = neuron()
        self.flatten = nn.Flatten()
        self.dropout = TimeDropout(dropout, dropout_mask)
        # Each stride of 2 halves a side and rounds up.
        self.classifier = nn.Linear(2 * width * ((height + 3) // 4) * ((breadth + 3) // 4), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        x = self.act2(self.conv2(self.act1(self.conv1(x))))
        result: Tensor = self.classifier(self.dropout(self.flatten(x)))
        return result


class SmallDense(nn.Module):
    """Two hidden linear layers of ``width`` with neurons, and a linear layer.

    Args:
        num_classes: size of the output.
        input_shape: (C, H, W).
        width: size of a hidden layer.
        neuron: makes one layer of neurons.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit.
    """

    def __init__(
        self,
        num_classes: int = 10,
        input_shape: Size = (1, 8, 8),
        width: int = 64,
        neuron: MakeNeuron = default_neuron,
    ) -> None:
        super().__init__()
        channels, height, breadth = checked_size("SmallDense", input_shape, 0)
        checked_counts("SmallDense", width=width, num_classes=num_classes)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * height * breadth, width)
        self.act1 = neuron()
        self.fc2 = nn.Linear(width, width)
        self.act2 = neuron()
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        x = self.act2(self.fc2(self.act1(self.fc1(self.flatten(x)))))
        result: Tensor = self.classifier(x)
        return result
