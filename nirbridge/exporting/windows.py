"""Parts of tensors and zero padding, which is linear: a convolution with fixed weights of 0 and 1 is the same.

1. Zero padding of places: one weight of 1 a channel, with padding.
2. Zero padding of channels: a matrix from channels to channels at each place; straight behind ``x[:, :, ::2, ::2]``
   they are one node, the shortcut of a CIFAR ResNet without parameters (its option A).
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.exporting.along import convolution
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.moving import move
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, require_signal
from nirbridge.ir import Shape, mark_moves
from nirbridge.primitives.shaping import pairs

_PLACES = (1, 2)
"""Axes behind the channels that a convolution has."""


def item(call: Call, input: Any, index: Any) -> Any:
    """A part of the features; single steps and samples are refused."""
    signal = require_signal(input)
    if signal.leading in (LeadingAxes.TIME, LeadingAxes.BATCH_FIRST) and not isinstance(index, tuple):
        found = f"takes single steps or samples out of {signal.leading.text}"
        raise RefusalError(found, "Export the module that gives [T, B, ...] and index the graph's output")
    return move(call, lambda x: x[index], signal)


def pad(call: Call, input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Signal:
    """Zeros around the places, zero channels before and behind the channels, or both."""
    signal = require_signal(input)
    if mode != "constant" or value:
        how = f"with {value:g}" if mode == "constant" else f"by mode '{mode}'"
        raise RefusalError(f"pads {how}; graphs pad with zeros alone", "Pad with zeros, or by the layer behind it")
    sides = _sides(signal, pad)
    if any(any(side) for side in sides[1:]):
        signal = pad_places(call, signal, sides[1:])
    return _pad_channels(call, signal, *sides[0]) if any(sides[0]) else signal


def _sides(signal: Signal, given: Any) -> list[tuple[int, int]]:
    """(before, behind) for each feature axis, from torch's numbers, which begin at the last axis."""
    numbers = [int(n) for n in (given if isinstance(given, (tuple, list)) else (given,))]
    shape = signal.shape
    if len(shape) - 1 not in _PLACES:
        found = f"pads features of shape {shape}; a graph pads (C, L) or (C, H, W)"
        raise RefusalError(found, "Pad pictures, or leave the padding to the layer behind it")
    if len(numbers) % 2 or any(n < 0 for n in numbers):
        found = f"pads by {tuple(numbers)}, which is not a pair of sizes from 0 for each axis"
        raise RefusalError(found, "Give sizes from 0")
    sides = [(numbers[n], numbers[n + 1]) for n in range(0, len(numbers), 2)]
    if any(any(side) for side in sides[len(shape) :]):
        raise RefusalError("pads the time or batch axis", "Pad features alone")
    sides = sides[: len(shape)]
    return (sides + [(0, 0)] * (len(shape) - len(sides)))[::-1]


def pad_places(call: Call, signal: Signal, sides: list[tuple[int, int]], suffix: str = "") -> Signal:
    """Zeros before and behind each axis of places.

    A convolution pads both sides alike, so unlike ones take a kernel that looks further along.
    """
    channels = signal.shape[0]
    kernel = np.zeros((channels, 1, *(abs(behind - before) + 1 for before, behind in sides)), call.builder.dtype)
    padding = tuple(max(side) for side in sides)
    ones = (slice(None), 0, *(most - side[0] for most, side in zip(padding, sides, strict=True)))
    kernel[ones] = 1
    node = convolution(signal.shape[1:], kernel, padding=padding, groups=channels)
    return call.emit(mark_moves(node), signal, suffix)


def _pad_channels(call: Call, signal: Signal, before: int, behind: int) -> Signal:
    channels = signal.shape[0]
    matrix = np.eye(before + channels + behind, channels, -before, dtype=call.builder.dtype)
    taken, steps = _before_slice(call, signal)
    kernel = matrix.reshape(*matrix.shape, *(1,) * len(steps))
    return call.emit(mark_moves(convolution(taken.shape[1:], kernel, steps)), taken)


def _before_slice(call: Call, signal: Signal) -> tuple[Signal, Shape]:
    """What a node takes that takes places by a step, whoever made it, and the steps; else the signal and steps of 1."""
    node: Any = call.builder.sender(signal)
    axes = len(signal.shape) - 1
    if type(node) in (nir.Conv1d, nir.Conv2d):
        channels, *size = node.weight.shape
        one_each = set(size) == {1} and int(node.groups) == channels and bool((node.weight == 1).all())
        if one_each and not np.any(node.bias) and not isinstance(node.padding, str) and not np.any(node.padding):
            shape = (channels, *(int(n) for n in np.ravel(node.input_shape)))
            sources = call.builder.incoming[signal.sources[0]]
            return Signal(sources, shape, signal.leading), pairs(node.stride, axes)
    return signal, (1,) * axes


def _pad_module(call: Call, module: nn.ZeroPad2d | nn.ConstantPad2d, input: Any) -> Signal:
    return pad(call, input, module.padding, "constant", module.value)


MODULES: dict[type[nn.Module], Handler] = dict.fromkeys(
    (nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d), _pad_module
)
