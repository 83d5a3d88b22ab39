"""Linear layers, convolutions, layers that only change a shape or nothing at all, and the table of all layers."""

from __future__ import annotations

from math import prod
from typing import Any

import nir
import numpy as np
from torch import nn

from nirbridge.exporting import enlarging, moving, normalisation, pooling, windows
from nirbridge.exporting.along import convolution, merges
from nirbridge.exporting.arrays import array, each
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.settling import Moved, moved, nodes_for
from nirbridge.exporting.signal import LeadingAxes, RefusalError, Signal, require_batch, require_signal
from nirbridge.ir import Shape


def linear(call: Call, input: Any, weight: Any, bias: Any = None) -> Signal:
    """y = W x + b over the last axis: Affine, or Linear without bias."""
    signal = require_signal(input)
    if not signal.shape:
        raise RefusalError("its input has no feature axis", "Check the input shape")
    matrix = array(weight)
    if matrix.ndim != 2:
        raise RefusalError(f"its weight has shape {matrix.shape}, expected (out, in)")
    return call.emit(nir.Linear(matrix) if bias is None else nir.Affine(matrix, array(bias)), signal)


def conv(
    call: Call, input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> Signal:  # fmt: skip
    """Cross-correlation over one axis or two: Conv1d or Conv2d."""
    signal, kernel = require_signal(input), array(weight)
    axes = kernel.ndim - 2
    require_batch(signal, (axes + 1,), "[N, C, L]" if axes == 1 else "[N, C, H, W]")
    edge = padding if isinstance(padding, str) else each(padding, axes)
    offset = None if bias is None else array(bias)
    steps, reaches = each(stride, axes), each(dilation, axes)
    return call.emit(convolution(signal.shape[1:], kernel, steps, edge, int(groups), offset, reaches), signal)


def _conv_module(call: Call, module: nn.Conv1d | nn.Conv2d, input: Any) -> Signal:
    padded = isinstance(module.padding, str) or any(module.padding)
    if module.padding_mode != "zeros" and padded and module.padding != "valid":
        found = f"padding_mode '{module.padding_mode}'; graphs pad with zeros alone"
        raise RefusalError(found, "Use padding_mode='zeros'")
    m = module
    return conv(call, input, m.weight, m.bias, m.stride, m.padding, m.dilation, m.groups)


def flatten(call: Call, input: Any, start_dim: int = 0, end_dim: int = -1) -> Signal:
    """Merges axes start_dim..end_dim, counted with time and batch: Flatten, or [T, B, ...] → [T*B, ...]."""
    signal = require_signal(input)
    start, end = signal.axis(start_dim), signal.axis(end_dim)
    if start > end:
        found = f"flattens axes {start}..{end} of {signal.text}, and the first stands behind the last"
        raise RefusalError(found, "Give the first axis before the last", leading=True)
    merged = prod(signal.full_shape[start : end + 1])
    target = (*signal.full_shape[:start], merged, *signal.full_shape[end + 1 :])
    return reshape_to(call, signal, target, f"flattens axes {start}..{end} of {signal.text}")


def reshape_to(call: Call, signal: Signal, target: Shape, what: str) -> Signal:
    """``signal`` under the full shape ``target``: merged feature axes, folded time, or moved values.

    Args:
        call: names the node.
        signal: what is reshaped.
        target: the wanted shape with the leading axes.
        what: what the code does, for the error.
    """
    lead = signal.leading.value
    if target[: len(lead)] == lead:
        return _merge(call, signal, target[len(lead) :], what)
    unfolded = LeadingAxes.BATCH_FIRST if call.builder.batch_first else LeadingAxes.TIME
    for one, other in ((unfolded, LeadingAxes.FOLDED), (LeadingAxes.FOLDED, unfolded)):
        if signal.leading is one and target == (*other.value, *signal.shape):
            return signal.over(other)
    raise RefusalError(
        f"{what}, which mixes time or batch with the features", "Flatten the axes behind time and batch", leading=True
    )


def _merge(call: Call, signal: Signal, target: Shape, what: str) -> Signal:
    """Flatten where axes merge; else values that wait in another shape for what the code does next."""
    if target == signal.shape:
        return signal
    nodes = merges(signal.shape, target)
    ready = not isinstance(signal, Moved) or nodes_for(signal.base.shape, signal.places, call.builder.dtype) is not None
    if nodes is None or not ready:
        return moved(signal, np.arange(prod(signal.shape)).reshape(target), call.name, what)
    signal = call.builder.settle(signal)
    for node in nodes:
        signal = call.emit(node, signal)
    return signal


def unflatten(call: Call, input: Any, dim: int, sizes: Any) -> Signal:
    """Splits an axis: [T*B, ...] → [T, B, ...], or one of features on the way to another shape."""
    signal = require_signal(input)
    full = signal.full_shape
    dim = signal.axis(dim)
    given = tuple(int(n) for n in sizes)
    split = with_rest(given, full[dim])
    if split is None:
        raise RefusalError(f"splits axis {dim} of {signal.text} into {given}", "Give sizes that multiply to it")
    return reshape_to(call, signal, (*full[:dim], *split, *full[dim + 1 :]), f"splits axis {dim} into {split}")


def with_rest(sizes: Shape, count: int) -> Shape | None:
    """The sizes of ``count`` values, of which one may be given as -1; None where they do not multiply to it."""
    rest = count // -prod(sizes) if sizes.count(-1) == 1 else -1
    filled = tuple(rest if size == -1 else size for size in sizes)
    return filled if prod(filled) == count else None


def same(call: Call, module: nn.Module, input: Any) -> Signal:
    """A module that passes its input on in evaluation."""
    return require_signal(input)


_SHAPING: dict[type[nn.Module], Handler] = {
    nn.Flatten: with_fields(flatten, "start_dim", "end_dim"),
    nn.Unflatten: with_fields(unflatten, "dim", "unflattened_size"),
    **dict.fromkeys(
        (
            nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
        ),
        same,
    ),
}  # fmt: skip
MODULES: dict[type[nn.Module], Handler] = {
    nn.Linear: with_fields(linear, "weight", "bias"),
    nn.Conv1d: _conv_module,
    nn.Conv2d: _conv_module,
    **windows.MODULES,
    **moving.MODULES,
    **pooling.MODULES,
    **enlarging.MODULES,
    **normalisation.MODULES,
    **_SHAPING,
}
"""All layers of torch."""
SHAPING = frozenset((flatten, unflatten, *_SHAPING.values()))
"""Handlers that change a shape or nothing."""
NAMED_MODULES: dict[str, Handler] = {"torchvision.ops.stochastic_depth.StochasticDepth": same}
"""By the full name of a type, where its library is not imported."""
