"""Residual blocks: where the shortcut is added decides what the next block gets.

Every block takes (inputs, outputs, stride, neuron, barrier) and maps [B, inputs, H, W] to [B, outputs, H', W'].
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from nirbridge.networks.parts import MakeNeuron, conv_norm


class SpikingBlock(nn.Module):
    """y = n(BN conv n(BN conv x) + s(x)): the shortcut joins the current of the second neuron.

    With ``nn.ReLU`` this is the basic block of analog ResNets, hence the block of hybrid training. s is the identity,
    or a 1x1 convolution with BN where the shape changes.

    Source: Abillama et al., IEEE Access 2025 (ResNet-20); Castagnetti et al., 2025 (Spiking block).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, neuron: MakeNeuron, barrier: MakeNeuron) -> None:
        super().__init__()
        self.conv1 = conv_norm(inputs, outputs, stride=stride)
        self.act1 = neuron()
        self.conv2 = conv_norm(outputs, outputs)
        self.act2 = neuron()
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Levels in, levels out."""
        result: Tensor = self.act2(self.conv2(self.act1(self.conv1(x))) + self.shortcut(x))
        return result


class SEWBlock(nn.Module):
    """y = n(BN conv n(BN conv x)) + s(x): spikes are added, so values grow from block to block.

    s is the identity, or a 1x1 convolution with BN and neurons.

    Source: Castagnetti, Pegatoquet and Miramond, 2025 (SEW block).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, neuron: MakeNeuron, barrier: MakeNeuron) -> None:
        super().__init__()
        self.conv1 = conv_norm(inputs, outputs, stride=stride)
        self.act1 = neuron()
        self.conv2 = conv_norm(outputs, outputs)
        self.act2 = neuron()
        self.shortcut = _shortcut(inputs, outputs, stride, neuron)

    def forward(self, x: Tensor) -> Tensor:
        """Levels in, sums of levels out."""
        result: Tensor = self.act2(self.conv2(self.act1(self.conv1(x)))) + self.shortcut(x)
        return result


class MSBlock(nn.Module):
    """y = BN conv n(BN conv n(x)) + s(x): currents are added, neurons stand before the convolutions.

    s is the identity, or a 1x1 convolution with BN of the first neuron's output, so that every convolution sees spikes.

    Source: Castagnetti, Pegatoquet and Miramond, 2025 (MS block).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, neuron: MakeNeuron, barrier: MakeNeuron) -> None:
        super().__init__()
        self.act1 = neuron()
        self.conv1 = conv_norm(inputs, outputs, stride=stride)
        self.act2 = neuron()
        self.conv2 = conv_norm(outputs, outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)
        self.changes_shape = not isinstance(self.shortcut, nn.Identity)

    def forward(self, x: Tensor) -> Tensor:
        """Currents in, currents out."""
        spikes = self.act1(x)
        main: Tensor = self.conv2(self.act2(self.conv1(spikes)))
        result: Tensor = main + self.shortcut(spikes if self.changes_shape else x)
        return result


class SparseBlock(SEWBlock):
    """y = barrier(n(BN conv n(BN conv x)) + s(x)): the barrier re-quantises the sum to the levels 0..N.

    Source: Castagnetti, Pegatoquet and Miramond, 2025 (Sparse-ResNet).
    """

    def __init__(self, inputs: int, outputs: int, stride: int, neuron: MakeNeuron, barrier: MakeNeuron) -> None:
        super().__init__(inputs, outputs, stride, neuron, barrier)
        self.barrier = barrier()

    def forward(self, x: Tensor) -> Tensor:
        """Levels in, levels out."""
        result: Tensor = self.barrier(super().forward(x))
        return result


def _shortcut(inputs: int, outputs: int, stride: int, neuron: MakeNeuron | None = None) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    projection = conv_norm(inputs, outputs, kernel=1, stride=stride)
    return projection if neuron is None else nn.Sequential(projection, neuron())


BLOCKS: dict[str, Callable[..., nn.Module]] = {
    "spiking": SpikingBlock,
    "sew": SEWBlock,
    "ms": MSBlock,
    "sparse": SparseBlock,
}
"""What builds a residual block, by the name that networks take as ``block``."""
