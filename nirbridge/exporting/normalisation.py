"""Batch normalisation with its running statistics: folded into the layer before, or a layer of its own.

y = (x - μ)/sqrt(σ² + ε) γ + β = a x + s per channel, with a = γ/sqrt(σ² + ε) and s = β - μ a.
"""

from __future__ import annotations

from dataclasses import replace
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
    if folds(before, len(signal.shape)):
        return call.builder.replace(call.name, signal.sources[0], folded(before, scale, shift), signal.leading)
    return call.emit(_alone(signal, scale.astype(dtype), shift.astype(dtype)), signal)


def folds(before: nir.NIRNode | None, axes: int) -> bool:
    """Whether a x + s can be folded into the layer before it, whose output has so many axes.

    A Linear over several axes has its channels last, where batch normalisation has them first.
    """
    return type(before) in _CONVOLUTIONS or (type(before) in _MATRICES and axes == 1)


def folded(before: Any, scale: Array, shift: Array) -> nir.NIRNode:
    """The layer before, which sends a x + s where it sent x."""
    dtype = before.weight.dtype
    factor = scale.reshape(-1, *(1,) * (before.weight.ndim - 1))
    weight = (before.weight.astype(np.float64) * factor).astype(dtype)
    bias = (np.asarray(getattr(before, "bias", 0.0), dtype=np.float64) * scale + shift).astype(dtype)
    if type(before) in _MATRICES:
        return nir.Affine(weight, bias)
    made: nir.NIRNode = replace(before, weight=weight, bias=bias, metadata={})  # it no longer only moves values
    return made


_MATRICES = (nir.Affine, nir.Linear)
_CONVOLUTIONS = (nir.Conv1d, nir.Conv2d)


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
