"""Batch normalisation with its running statistics: folded into the layer before, or a layer of its own.

y = (x - μ)/sqrt(σ² + ε) γ + β = a x + s per channel, with a = γ/sqrt(σ² + ε) and s = β - μ a.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray
from torch import nn

from nirbridge.exporting.along import convolution
from nirbridge.exporting.arrays import array
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.signal import RefusalError, Signal, require_batch, require_signal

Array = NDArray[Any]


def batch_norm(
    call: Call, input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Signal:  # fmt: skip
    """a x + s per channel, on [N, C], [N, C, L] or [N, C, H, W]."""
    signal = require_signal(input)
    scale, shift = coefficients(signal, running_mean, running_var, weight, bias, training, eps)
    return _apply(call, signal, scale, shift, array(running_mean).dtype)


def coefficients(
    signal: Signal, running_mean: Any, running_var: Any, weight: Any, bias: Any, training: bool, eps: float
) -> tuple[Array, Array]:
    """a = γ/sqrt(σ² + ε) and s = β - μ a, one number a channel, in double precision."""
    require_batch(signal, (1, 2, 3), "[N, C, ...]")
    if training or running_mean is None or running_var is None:
        found = "normalises with the statistics of the batch, which a graph does not know"
        raise RefusalError(found, "Use track_running_stats=True and train it, or export in evaluation mode")
    mean, variance = (np.asarray(array(value), dtype=np.float64) for value in (running_mean, running_var))
    if len(mean) != signal.shape[0]:
        found = f"its input has {signal.shape[0]} channels, it normalises {len(mean)}"
        raise RefusalError(found, "Check the input shape and the layers before")
    gain = np.ones_like(mean) if weight is None else np.asarray(array(weight), dtype=np.float64)
    offset = np.zeros_like(mean) if bias is None else np.asarray(array(bias), dtype=np.float64)
    scale = gain / np.sqrt(variance + eps)
    return scale, offset - mean * scale


def _apply(call: Call, signal: Signal, scale: Array, shift: Array, dtype: Any) -> Signal:
    before = call.builder.sender(signal)
    fold = fold_into(before, len(signal.shape))
    if fold is not None:
        folded = fold(before, scale, shift)
        return call.builder.replace(call.name, signal.sources[0], folded, signal.leading)
    return call.emit(_alone(signal, scale.astype(dtype), shift.astype(dtype)), signal)


def fold_into(before: nir.NIRNode | None, axes: int) -> Callable[..., nir.NIRNode] | None:
    """How a x + s is folded into the layer before it, as a function of it, a and s; None where it cannot be.

    A Linear over several axes has its channels last, where batch normalisation has them first.
    """
    if type(before) in (nir.Affine, nir.Linear) and axes > 1:
        return None
    return _FOLDS.get(type(before)) if before is not None else None


def _fold_matrix(node: nir.Affine | nir.Linear, scale: Array, shift: Array) -> nir.Affine:
    bias = node.bias.astype(np.float64) if type(node) is nir.Affine else 0.0
    dtype = node.weight.dtype
    weight = node.weight.astype(np.float64) * scale[:, None]
    return nir.Affine(weight.astype(dtype), (bias * scale + shift).astype(dtype))


def _fold_kernel(node: nir.Conv1d | nir.Conv2d, scale: Array, shift: Array) -> nir.Conv1d | nir.Conv2d:
    dtype = node.weight.dtype
    weight = node.weight.astype(np.float64) * scale.reshape(-1, *(1,) * (node.weight.ndim - 1))
    bias = node.bias.astype(np.float64) * scale + shift
    return type(node)(
        input_shape=node.input_shape,
        weight=weight.astype(dtype),
        stride=node.stride,
        padding=node.padding,
        dilation=node.dilation,
        groups=node.groups,
        bias=bias.astype(dtype),
    )


_FOLDS: dict[type[nir.NIRNode], Callable[..., nir.NIRNode]] = {
    nir.Affine: _fold_matrix,
    nir.Linear: _fold_matrix,
    nir.Conv1d: _fold_kernel,
    nir.Conv2d: _fold_kernel,
}


def _alone(signal: Signal, scale: Array, shift: Array) -> nir.NIRNode:
    """The same as a layer: a diagonal matrix, or a convolution of one place and as many groups as channels."""
    channels, *spatial = signal.shape
    if not spatial:
        return nir.Affine(np.diag(scale), shift)
    kernel = scale.reshape(channels, *(1,) * (1 + len(spatial)))
    return convolution(tuple(spatial), kernel, groups=channels, bias=shift)


def modules(function: Handler) -> dict[type[nn.Module], Handler]:
    """The modules that ``function`` lowers with their fields."""

    def lower(call: Call, module: nn.BatchNorm1d | nn.BatchNorm2d, input: Any) -> Any:
        signal = require_signal(input)
        axes, expected = ((1, 2), "[N, C] or [N, C, L]") if type(module) is nn.BatchNorm1d else ((3,), "[N, C, H, W]")
        require_batch(signal, axes, expected)
        mean, variance = module.running_mean, module.running_var
        return function(call, signal, mean, variance, module.weight, module.bias, eps=module.eps)

    return dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), lower)


MODULES = modules(batch_norm)
