"""The spike-driven transformer: attention by products and sums of spikes, residuals on currents."""

from __future__ import annotations

from torch import Tensor, nn

from nirbridge.networks.parts import MakeNeuron, Size, checked_counts, checked_size, conv_norm
from nirbridge.neurons import MultiLevelLIF


def transformer_neuron() -> nn.Module:
    """M-LIF as the transformer uses it: u += (x - u)/2, lanes 1/4, 1/2, 1, hard reset."""
    return MultiLevelLIF(3, decay=0.5, gain=0.5, reset="value", scaled=True, surrogate="sigmoid")


class SpikeAttention(nn.Module):
    """x + BN W_p (q ⊙ n(Σ_places k ⊙ v)), with q, k, v = n(BN W n(x)).

    Products of levels stand where other transformers multiply matrices; the sum runs over all places of a channel, so
    the cost is linear in them.

    Shapes:
        [B, C, H, W], kept.

    Source: the spike-driven self-attention that Abillama et al., IEEE Access 2025, run with M-LIF neurons.
    """

    def __init__(self, channels: int, neuron: MakeNeuron) -> None:
        super().__init__()
        self.act = neuron()
        self.query = nn.Sequential(conv_norm(channels, channels, kernel=1), neuron())
        self.key = nn.Sequential(conv_norm(channels, channels, kernel=1), neuron())
        self.value = nn.Sequential(conv_norm(channels, channels, kernel=1), neuron())
        self.gate = neuron()
        self.project = conv_norm(channels, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Currents in, currents out."""
        spikes = self.act(x)
        seen = (self.key(spikes) * self.value(spikes)).sum((-2, -1), keepdim=True)
        result: Tensor = x + self.project(self.query(spikes) * self.gate(seen))
        return result


class SpikeMLP(nn.Module):
    """x + BN W2 n(BN W1 n(x)), W1 widening ``ratio`` times.

    Shapes:
        [B, C, H, W], kept.
    """

    def __init__(self, channels: int, ratio: int, neuron: MakeNeuron) -> None:
        super().__init__()
        self.act1 = neuron()
        self.fc1 = conv_norm(channels, channels * ratio, kernel=1)
        self.act2 = neuron()
        self.fc2 = conv_norm(channels * ratio, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Currents in, currents out."""
        result: Tensor = x + self.fc2(self.act2(self.fc1(self.act1(x))))
        return result


class SpikeTransformer(nn.Module):
    """Spike-driven transformer, Transformer-``depth``-``width``: four convolutions, attention and MLP blocks, a head.

    The convolutions have width/8, width/4, width/2 and width channels; the last two are followed by max pooling. A
    fifth adds what a place sees of its neighbours, as a position code. It exports; the products of its attention
    become Place and Product (docs/primitives.md).

    Args:
        num_classes: size of the output.
        input_shape: (C, H, W), sides that are multiples of 4.
        width: channels of a block, a multiple of 8.
        depth: blocks.
        neuron: makes one layer of neurons.
        ratio: how much wider the hidden layer of an MLP is.

    Shapes:
        input [B, C, H, W], output [B, num_classes]; wrap in ``OverTime`` for [T, B, ...].

    Raises:
        InputError: sizes that do not fit.

    Source: Abillama et al., IEEE Access 2025, Transformer-2-512.
    """

    def __init__(
        self,
        num_classes: int = 10,
        input_shape: Size = (3, 32, 32),
        width: int = 512,
        depth: int = 2,
        neuron: MakeNeuron = transformer_neuron,
        ratio: int = 4,
    ) -> None:
        super().__init__()
        channels, _, _ = checked_size("SpikeTransformer", input_shape, 2)
        checked_counts("SpikeTransformer", num_classes=num_classes, width=width, depth=depth, ratio=ratio)
        checked_counts("SpikeTransformer", **{"width // 8": width // 8})
        layers: list[nn.Module] = []
        for stage, outputs in enumerate((width // 8, width // 4, width // 2)):
            layers += [conv_norm(channels, outputs), neuron()]
            if stage == 2:
                layers.append(nn.MaxPool2d(2))
            channels = outputs
        self.patches = nn.Sequential(*layers, conv_norm(channels, width), nn.MaxPool2d(2))
        self.position_act = neuron()
        self.position = conv_norm(width, width)
        blocks = [
            block for _ in range(depth) for block in (SpikeAttention(width, neuron), SpikeMLP(width, ratio, neuron))
        ]
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last_act = neuron()
        self.flatten = nn.Flatten()
        self.classifier = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, num_classes]."""
        currents = self.patches(x)
        currents = currents + self.position(self.position_act(currents))
        pooled = self.pool(self.blocks(currents))
        result: Tensor = self.classifier(self.flatten(self.last_act(pooled)))
        return result
