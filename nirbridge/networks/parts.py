"""Pieces that the networks share."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nirbridge.errors import InputError
from nirbridge.neurons import MultiLevelLIF

MakeNeuron = Callable[[], nn.Module]
"""Makes one layer of neurons: ``lambda: MultiLevelLIF(4)``, or ``nn.ReLU`` for the analog network of a hybrid."""
Size = tuple[int, int, int]


def default_neuron() -> nn.Module:
    """M-LIF with three lanes."""
    return MultiLevelLIF(3)


def conv_norm(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution that keeps the size at stride 1 (halves it, rounded up, at 2), then batch normalisation."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def checked_size(owner: str, input_shape: tuple[int, ...], halvings: int) -> Size:
    """``input_shape`` as (C, H, W).

    Raises:
        InputError: not three positive numbers, or a side that ``halvings`` do not divide evenly.
    """
    if len(input_shape) != 3 or any(side < 1 for side in input_shape):
        raise InputError(owner, f"input_shape {input_shape} is not (channels, height, width)", "Give (3, 32, 32)")
    channels, height, width = input_shape
    factor = 2**halvings
    if height % factor or width % factor:
        found = f"input of {height}x{width} is halved {halvings} times, which {factor} does not divide"
        raise InputError(owner, found, f"Use sides that are multiples of {factor}")
    return channels, height, width


def checked_counts(owner: str, **counts: int) -> None:
    """Refuses widths and class numbers below 1.

    Raises:
        InputError: one of them is.
    """
    for name, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(owner, f"{name}={value!r} is not a whole number above 0", f"Choose another {name}")
