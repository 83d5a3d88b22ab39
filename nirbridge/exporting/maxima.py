"""Maxima of windows over height and width."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from nirbridge.exporting.arrays import each
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.exporting.windowing import adaptive, padded, pool_node, pool_windows
from nirbridge.ir import MaxPool2d

_ONE_AXIS = "A graph's maximum takes (C, H, W): use Conv2d with kernels (1, k) and MaxPool2d((1, k)) throughout"


def max_pool2d(
    call: Call, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False, *, of_spikes: bool = False,
) -> Signal:  # fmt: skip
    """The largest value of each window: MaxPool2d; among spikes a zero behind the edge never is the largest."""
    if return_indices:
        raise RefusalError("returns indices, which a graph does not carry", "Use return_indices=False")
    if each(dilation, 2) != (1, 1):
        raise RefusalError(f"dilation {each(dilation, 2)}; pooling in a graph has none", "Use dilation=1")
    signal, kernel, step, edge, over = pool_windows(input, kernel_size, stride, padding, ceil_mode)
    if any(over) and not of_spikes:
        found = f"ceil_mode=True with a last window that hangs over: size {signal.shape[1:]}, kernel {kernel}, "
        raise RefusalError(f"{found}stride {step}", "Use ceil_mode=False or sizes that divide evenly")
    return call.emit(pool_node(MaxPool2d, kernel, step, edge), padded(call, signal, over))


max_pool2d_of_spikes = partial(max_pool2d, of_spikes=True)
"""Of values from 0 on, for windows that hang over."""


def max_pool1d(call: Call, input: Any, *args: Any, **kwargs: Any) -> Signal:
    """Refused: no node takes the maximum along one axis of (C, L)."""
    raise RefusalError(f"takes maxima along one axis of features {require_signal(input).shape}", _ONE_AXIS)


def adaptive_max_pool2d(call: Call, input: Any, output_size: Any, return_indices: bool = False) -> Signal:
    """Maxima over windows of one size: MaxPool2d; copies of a single place: Conv2d."""
    if return_indices:
        raise RefusalError("returns indices, which a graph does not carry", "Use return_indices=False")
    signal, goal, pooled = adaptive(call, input, output_size, MaxPool2d)
    if pooled is None:
        found = f"takes maxima of {signal.shape[1:]} places at {goal}, over windows that differ in size"
        raise RefusalError(found, "Choose an output size that divides the input size")
    return pooled


def adaptive_max_pool1d(call: Call, input: Any, output_size: Any, return_indices: bool = False) -> Signal:
    """The values themselves; other maxima along one axis are refused."""
    signal = require_signal(input)
    if len(signal.shape) == 2 and each(output_size, 1) == signal.shape[1:] and not return_indices:
        return signal
    return max_pool1d(call, signal)


FIELDS = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
"""Of nn.MaxPool2d, in the order in which its function takes them."""
MODULES: dict[type[nn.Module], Handler] = {
    nn.MaxPool1d: with_fields(max_pool1d),
    nn.MaxPool2d: with_fields(max_pool2d, *FIELDS),
    nn.AdaptiveMaxPool1d: with_fields(adaptive_max_pool1d, "output_size", "return_indices"),
    nn.AdaptiveMaxPool2d: with_fields(adaptive_max_pool2d, "output_size", "return_indices"),
}
FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((functional.max_pool1d, torch.max_pool1d), max_pool1d),
    **dict.fromkeys((functional.max_pool2d, torch.max_pool2d), max_pool2d),
    functional.adaptive_max_pool1d: adaptive_max_pool1d,
    functional.adaptive_max_pool2d: adaptive_max_pool2d,
}
