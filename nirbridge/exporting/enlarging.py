"""Layers that make pictures larger.

1. A transposed convolution: zeros between the places where it has a stride, then a convolution with the kernel turned
   round, padded by its reach.
2. ``pixel_shuffle``: a transposed convolution whose kernels put each channel at its own place.
3. Nearest-neighbour upsampling: places repeated, which :mod:`settling` finds nodes for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from nirbridge.exporting.along import along, convolution
from nirbridge.exporting.arrays import array, each
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.moving import move
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal
from nirbridge.ir import mark_moves

_NEAREST = ("nearest", "nearest-exact")


def conv_transpose(
    call: Call, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> Signal:  # fmt: skip
    """A transposed convolution over one axis or two: zeros between places, and Conv1d or Conv2d."""
    signal, kernel = require_signal(input), array(weight)
    axes = kernel.ndim - 2
    require_batch(signal, (axes + 1,), "[N, C, L]" if axes == 1 else "[N, C, H, W]")
    steps, edges, extra, reaches = (each(value, axes) for value in (stride, padding, output_padding, dilation))
    around = tuple(
        reach * (size - 1) - edge for size, reach, edge in zip(kernel.shape[2:], reaches, edges, strict=True)
    )
    for axis in range(axes):
        matrix = _spread(signal.shape[axis + 1], steps[axis], extra[axis], max(0, -around[axis]), call.builder.dtype)
        if matrix.shape[0] < 1:
            raise RefusalError(f"its padding {edges} cuts off more than there is", "Use less padding")
        if not np.array_equal(matrix, np.eye(len(matrix))):
            for node in along(signal.shape, axis + 1, matrix):
                signal = call.emit(mark_moves(node), signal, "spread")
    offset = None if bias is None else array(bias)
    padded = tuple(max(0, edge) for edge in around)
    turned = _turned(kernel, groups)
    return call.emit(
        convolution(signal.shape[1:], turned, padding=padded, groups=groups, bias=offset, dilation=reaches), signal
    )


def _spread(size: int, step: int, extra: int, cut: int, dtype: Any) -> NDArray[Any]:
    """The matrix that puts step - 1 zeros between places and ``extra`` behind, and drops ``cut`` at both ends."""
    matrix = np.zeros((step * (size - 1) + 1 + extra, size), dtype)
    matrix[step * np.arange(size), np.arange(size)] = 1
    return matrix[cut : len(matrix) - cut] if len(matrix) > 2 * cut else matrix[:0]


def pixel_shuffle(call: Call, input: Any, upscale_factor: int) -> Signal:
    """Channels to places: (C r², H, W) → (C, r H, r W)."""
    signal, factor = require_signal(input), int(upscale_factor)
    require_batch(signal, (3,), "[N, C, H, W]")
    count = factor**2
    if signal.shape[0] % count:
        raise RefusalError(f"makes pictures of {signal.shape[0]} channels, no multiple of {count}", "Check the layer")
    groups = signal.shape[0] // count
    kernel = np.eye(count, dtype=call.builder.dtype).reshape(count, 1, factor, factor)
    return conv_transpose(call, signal, np.tile(kernel, (groups, 1, 1, 1)), stride=factor, groups=groups)


def upsample(
    call: Call, input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: Any = None, recompute_scale_factor: Any = None, antialias: bool = False,
) -> Any:  # fmt: skip
    """Nearest-neighbour resizing: every place of the result is a copy of one."""
    signal = require_signal(input)
    if mode not in _NEAREST:
        raise RefusalError(f"mode '{mode}' interpolates between places, which no node does", "Use mode='nearest'")
    require_batch(signal, (2, 3), "[N, C, H, W]")

    def resized(index: torch.Tensor) -> torch.Tensor:
        whole = index.double()
        return functional.interpolate(
            whole, size, scale_factor, mode, recompute_scale_factor=recompute_scale_factor
        ).long()

    return move(call, resized, signal)


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


def _upsample_module(call: Call, module: nn.Upsample, input: Any) -> Any:
    again = module.recompute_scale_factor
    return upsample(call, input, module.size, module.scale_factor, module.mode, recompute_scale_factor=again)


MODULES: dict[type[nn.Module], Handler] = {
    nn.ConvTranspose1d: _transpose_module,
    nn.ConvTranspose2d: _transpose_module,
    nn.Upsample: _upsample_module,
    nn.UpsamplingNearest2d: _upsample_module,
    nn.PixelShuffle: with_fields(pixel_shuffle, "upscale_factor"),
}
FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((torch.conv_transpose1d, torch.conv_transpose2d), conv_transpose),
    **dict.fromkeys((functional.pixel_shuffle, torch.pixel_shuffle), pixel_shuffle),
    functional.interpolate: upsample,
}
