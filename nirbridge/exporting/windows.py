"""Slices with a stride and zero padding: linear, so a convolution with fixed weights of 0 and 1 is exactly the same.

1. ``x[:, :, ::2, ::2]``: one weight of 1 a channel, with the slice's steps as strides.
2. Zero padding of places: one weight of 1 a channel, with padding.
3. Zero padding of channels: a matrix from channels to channels at each place; straight behind 1 they are one node,
   the shortcut of a CIFAR ResNet without parameters (its option A).
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, require_signal
from nirbridge.ir import Shape
from nirbridge.primitives.shaping import pairs

_PLACES = (1, 2)
"""Axes behind the channels that a convolution has."""
_WHOLE = slice(None)


def item(call: Call, input: Any, index: Any) -> Signal:
    """Every n-th place of all channels; any other part of a tensor is refused."""
    signal = require_signal(input)
    if signal.leading in (LeadingAxes.TIME, LeadingAxes.BATCH_FIRST) and not isinstance(index, tuple):
        found = f"takes single steps or samples out of {signal.leading.text}"
        raise RefusalError(found, "Export the module that gives [T, B, ...] and index the graph's output")
    steps = _steps(signal, index)
    if steps is None:
        found = "takes a part of a tensor, for which a graph has no node"
        raise RefusalError(found, "Keep whole tensors, or slice places by a step alone, as x[:, :, ::2, ::2]")
    if set(steps) == {1}:
        return signal
    channels = signal.shape[0]
    ones = np.ones((channels, 1, *(1,) * len(steps)), dtype=call.builder.dtype)
    return call.emit(_convolution(signal.shape[1:], ones, steps, (0,) * len(steps), channels), signal)


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


def _steps(signal: Signal, index: Any) -> Shape | None:
    """The step along each axis of places; None where the index is anything but that."""
    parts = list(index) if isinstance(index, tuple) else [index]
    axes = len(signal.full_shape)
    dots = [place for place, part in enumerate(parts) if part is Ellipsis]
    if len(dots) == 1:
        parts[dots[0] : dots[0] + 1] = [_WHOLE] * (axes - len(parts) + 1)
    parts += [_WHOLE] * (axes - len(parts))
    if len(parts) != axes or not all(isinstance(part, slice) for part in parts):
        return None
    found = [_step(part, size) for part, size in zip(parts, signal.full_shape, strict=True)]
    if None in found:
        return None
    kept = signal.leading.axes + 1
    steps = [step for step in found if step is not None]
    if set(steps[:kept]) != {1}:
        return None
    places = tuple(steps[kept:])
    return places if len(places) in _PLACES or set(places) <= {1} else None


def _step(part: slice, size: int) -> int | None:
    """n where a slice takes every n-th of ``size`` from the first on."""
    if not all(number is None or type(number) is int for number in (part.start, part.stop, part.step)):
        return None
    start, stop, step = part.indices(size)
    return step if start == 0 and stop == size and step > 0 else None


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


def pad_places(call: Call, signal: Signal, sides: list[tuple[int, int]]) -> Signal:
    """Zeros before and behind each axis of places.

    A convolution pads both sides alike, so unlike ones take a kernel that looks further along.
    """
    channels = signal.shape[0]
    kernel = np.zeros((channels, 1, *(abs(behind - before) + 1 for before, behind in sides)), call.builder.dtype)
    padding = tuple(max(side) for side in sides)
    ones = (slice(None), 0, *(most - side[0] for most, side in zip(padding, sides, strict=True)))
    kernel[ones] = 1
    return call.emit(_convolution(signal.shape[1:], kernel, (1,) * len(sides), padding, channels), signal)


def _pad_channels(call: Call, signal: Signal, before: int, behind: int) -> Signal:
    channels = signal.shape[0]
    matrix = np.eye(before + channels + behind, channels, -before, dtype=call.builder.dtype)
    places: Shape = signal.shape[1:]
    steps: Shape = (1,) * len(places)
    sliced = call.builder.sender(signal)
    if _is_slice(sliced):
        assert sliced is not None
        signal, places, steps = _before(call, signal, sliced)
    kernel = matrix.reshape(*matrix.shape, *(1,) * len(places))
    return call.emit(_convolution(places, kernel, steps, (0,) * len(places), 1), signal)


def _before(call: Call, signal: Signal, sliced: nir.NIRNode) -> tuple[Signal, Shape, Shape]:
    """What a slice takes, its places and its steps."""
    axes = len(signal.shape) - 1
    places = tuple(int(n) for n in np.ravel(sliced.input_shape))
    taken = Signal(call.builder.incoming[signal.sources[0]], (signal.shape[0], *places), signal.leading)
    return taken, places, pairs(sliced.stride, axes)


def _is_slice(node: nir.NIRNode | None) -> bool:
    """Whether a node is as :func:`item` makes it, whoever made it."""
    if node is None or type(node) not in (nir.Conv1d, nir.Conv2d):
        return False
    channels, *size = node.weight.shape
    one_each = set(size) == {1} and int(node.groups) == channels and bool((node.weight == 1).all())
    return one_each and not np.any(node.bias) and not isinstance(node.padding, str) and not np.any(node.padding)


def _convolution(places: Shape, kernel: Any, steps: Shape, padding: Shape, groups: int) -> nir.NIRNode:
    bias = np.zeros(len(kernel), kernel.dtype)
    if len(places) == 1:
        return nir.Conv1d(places[0], kernel, steps[0], padding[0], 1, groups, bias)
    return nir.Conv2d(places, kernel, steps, padding, 1, groups, bias)


def _pad_module(call: Call, module: nn.ZeroPad2d | nn.ConstantPad2d, input: Any) -> Signal:
    return pad(call, input, module.padding, "constant", module.value)


MODULES: dict[type[nn.Module], Handler] = dict.fromkeys(
    (nn.ZeroPad1d, nn.ZeroPad2d, nn.ConstantPad1d, nn.ConstantPad2d), _pad_module
)
