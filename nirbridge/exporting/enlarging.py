"""Layers that make pictures larger, where a convolution is exactly the same.

1. A transposed convolution with stride 1: a convolution with the kernel turned round, padded by its reach.
2. Along an axis of one place any stride is the same as 1.
3. Nearest-neighbour upsampling of one place: copies of it.

Strides over several places put zeros between them, and copies of several places lie between each other: no node does.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from nirbridge.exporting.arrays import array, pair, single
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.pooling import copies
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal

_ENLARGE = "Enlarge in front of the network, or train with a Linear layer in its place"


def conv_transpose(
    call: Call, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Signal:  # fmt: skip
    """A transposed convolution over one axis or two: Conv1d or Conv2d."""
    signal, kernel = require_signal(input), array(weight)
    axes = kernel.ndim - 2
    require_batch(signal, (axes + 1,), "[N, C, L]" if axes == 1 else "[N, C, H, W]")
    steps, edges, extra, reaches = (_each(value, axes) for value in (stride, padding, output_padding, dilation))
    places = signal.shape[1:]
    if any(step > 1 and size > 1 for step, size in zip(steps, places, strict=True)) or any(extra):
        found = f"has stride {steps} and output_padding {extra} over {places} places, so zeros come between them"
        raise RefusalError(found, _ENLARGE)
    around = tuple(
        reach * (size - 1) - edge for size, reach, edge in zip(kernel.shape[2:], reaches, edges, strict=True)
    )
    if min(around) < 0:
        raise RefusalError(f"its padding {edges} cuts off more than its kernel adds", "Use less padding")
    turned = _turned(kernel, groups)
    offset = np.zeros(len(turned), turned.dtype) if bias is None else array(bias)
    if axes == 1:
        return call.emit(nir.Conv1d(places[0], turned, 1, around[0], reaches[0], groups, offset), signal)
    return call.emit(nir.Conv2d(places, turned, (1, 1), around, reaches, groups, offset), signal)


def upsample(
    call: Call, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Signal:  # fmt: skip
    """Nearest-neighbour upsampling of one place along an axis, or none at all."""
    signal = require_signal(input)
    if mode not in ("nearest", "nearest-exact"):
        raise RefusalError(f"mode '{mode}' interpolates between places, which no node does", "Use mode='nearest'")
    require_batch(signal, (3,), "[N, C, H, W]")
    places = signal.shape[1:]
    if size is not None:
        goal = pair(size)
    else:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
        goal = (int(places[0] * factors[0]), int(places[1] * factors[1]))
    if goal == places:
        return signal
    if any(have not in (1, want) for have, want in zip(places, goal, strict=True)):
        raise RefusalError(f"copies each of {places} places to make {goal}, which no node does", _ENLARGE)
    return call.emit(copies(signal, goal, call.builder.dtype), signal)


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return (single(value),) if axes == 1 else pair(value)


def _turned(kernel: Any, groups: int) -> Any:
    """(in, out/groups, ...) as (out, in/groups, ...), every spatial axis reversed."""
    entering, leaving, *sizes = kernel.shape
    parts = kernel.reshape(groups, entering // groups, leaving, *sizes).swapaxes(1, 2)
    whole = parts.reshape(groups * leaving, entering // groups, *sizes)
    return np.flip(whole, tuple(range(2, whole.ndim))).copy()


def _transpose_module(call: Call, module: nn.ConvTranspose2d, input: Any, output_size: Any = None) -> Signal:
    if output_size is not None:
        raise RefusalError("is given an output_size", "Leave it away")
    m = module
    return conv_transpose(call, input, m.weight, m.bias, m.stride, m.padding, m.output_padding, m.groups, m.dilation)


def _upsample_module(call: Call, module: nn.Upsample, input: Any) -> Signal:
    return upsample(call, input, module.size, module.scale_factor, module.mode)


MODULES: dict[type[nn.Module], Handler] = {
    nn.ConvTranspose1d: _transpose_module,
    nn.ConvTranspose2d: _transpose_module,
    nn.Upsample: _upsample_module,
    nn.UpsamplingNearest2d: _upsample_module,
}
FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((torch.conv_transpose1d, torch.conv_transpose2d), conv_transpose),
    functional.interpolate: upsample,
}
