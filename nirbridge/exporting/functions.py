"""Functions, operators and tensor methods that ``forward`` may use."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.exporting import concatenation, enlarging, moving, pooling
from nirbridge.exporting.arrays import constant
from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.layers import SHAPING, conv, flatten, linear, reshape_to, unflatten, with_rest
from nirbridge.exporting.normalisation import batch_norm
from nirbridge.exporting.pooling import over_places
from nirbridge.exporting.products import product
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.exporting.windows import item, pad

_FLOATING = (torch.float32, torch.float64)
_READOUT = "Export the module that gives [T, B, ...] and do this with the graph's output"


def add(call: Call, input: Any, other: Any, *, alpha: Any = 1) -> Signal:
    """x + alpha y: two sets of edges into whatever takes the sum."""
    if isinstance(input, Signal) and isinstance(other, Signal):
        return call.builder.total(call.name, input, other if alpha == 1 else multiply(call, other, alpha))
    signal, added = (input, other) if isinstance(input, Signal) else (other, input)
    number = torch.as_tensor(added)
    if bool(torch.all(number == 0)):
        return _kept_by(require_signal(signal), tuple(number.shape))
    raise RefusalError("adds a constant, for which a graph has no node", "Put it into the bias of the layer before")


def _kept_by(signal: Signal, shape: tuple[int, ...]) -> Signal:
    """The signal, whose shape zeros of ``shape`` must not widen."""
    try:
        kept = np.broadcast_shapes(signal.full_shape, shape) == signal.full_shape
    except ValueError:
        kept = False
    if not kept:
        found = f"adds zeros of shape {shape} to features {signal.shape}, which would broadcast"
        raise RefusalError(found, "Bring both to one shape first")
    return signal


def subtract(call: Call, input: Any, other: Any, *, alpha: Any = 1) -> Signal:
    """x - alpha y."""
    if isinstance(other, Signal):
        return add(call, input, multiply(call, other, -alpha))
    return add(call, input, -alpha * other)


def multiply(call: Call, input: Any, other: Any) -> Signal:
    """c x with a constant c: Scale; x y of two tensors: Place for each, and Product."""
    if isinstance(input, Signal) and isinstance(other, Signal):
        return product(call, input, other)
    signal, factor = (input, other) if isinstance(input, Signal) else (other, input)
    return call.emit(nir.Scale(_factor(call, require_signal(signal), factor)), signal)


def divide(call: Call, input: Any, other: Any) -> Signal:
    """x / c with a constant c: Scale by 1/c."""
    if isinstance(other, Signal):
        raise RefusalError("divides by a tensor that depends on the input", "Graphs are linear between the neurons")
    if not isinstance(other, Tensor) and other == 0:
        raise RefusalError("divides by 0", "Check the number")
    return multiply(call, input, 1 / other)


def negative(call: Call, input: Any) -> Signal:
    """-x: Scale by -1."""
    return multiply(call, input, -1)


def as_constant(call: Call, signal: Signal, value: Any) -> Any:
    """A constant as an array, without axes of 1 that stand before those of the features."""
    found = constant(value, call.builder.dtype)
    surplus = found.ndim - len(signal.shape)
    return found.reshape(found.shape[surplus:]) if surplus > 0 and set(found.shape[:surplus]) <= {1} else found


def _factor(call: Call, signal: Signal, given: Any) -> Any:
    """The constant as an array of the features' shape; NIR's Scale has one factor for each feature."""
    factor = as_constant(call, signal, given)
    try:
        return np.broadcast_to(factor, signal.shape).copy()
    except ValueError:
        found = f"multiplies features of shape {signal.shape} by a constant of shape {factor.shape}"
        raise RefusalError(found, "Give one number or one for each feature") from None


def reshape(call: Call, input: Any, *shape: Any) -> Signal:
    """Another shape, where it only merges neighbouring feature axes or folds time into the batch."""
    signal = require_signal(input)
    given = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    sizes = with_rest(given, signal.elements)
    if sizes is None:
        raise RefusalError(f"reshapes features {signal.shape} to {shape}", "Use flatten", leading=True)
    return reshape_to(call, signal, sizes, "reshapes")


def _axes(signal: Signal, dim: Any) -> tuple[int, ...]:
    """The axes that ``dim`` names, ascending: all, one or several."""
    given = range(len(signal.full_shape)) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    axes = tuple(sorted(signal.axis(d) for d in given))
    if len(set(axes)) < len(axes):
        raise RefusalError(f"names an axis twice, of axes {tuple(given)}", "Name each once", leading=True)
    return axes


def squeeze(call: Call, input: Any, dim: Any = None) -> Signal:
    """Drops feature axes of size 1: Flatten with the axis beside."""
    signal = require_signal(input)
    for axis in reversed(_axes(signal, dim)):
        shape = signal.full_shape
        if shape[axis] == 1:
            signal = reshape_to(call, signal, (*shape[:axis], *shape[axis + 1 :]), f"squeezes axis {axis}")
    return signal


def _over_places(mean: bool, call: Call, input: Any, dim: Any = None, keepdim: bool = False) -> Signal:
    """The mean or sum over height, width or both: a pool of the whole picture, or a convolution."""
    signal = require_signal(input)
    dims = _axes(signal, dim)
    if any(d < signal.leading.axes for d in dims):
        raise RefusalError(f"reduces the time or batch axis of {signal.text}", _READOUT)
    reduced = tuple(d - signal.leading.axes for d in dims)
    if len(signal.shape) not in (2, 3) or 0 in reduced:
        found = f"reduces axes {dims} of features {signal.shape}; a graph reduces places of (C, L) or (C, H, W) alone"
        raise RefusalError(found, "Use a Linear layer or nn.AdaptiveAvgPool2d(1)")
    pooled = over_places(call, signal, reduced, mean)
    if keepdim:
        return pooled
    flattening = replace(call, name=f"{call.name}.flatten")
    kept = tuple(size for axis, size in enumerate(signal.shape) if axis not in reduced)
    return reshape_to(flattening, pooled, (*signal.leading.value, *kept), "flattens")


mean, total = partial(_over_places, True), partial(_over_places, False)


def dropout(call: Call, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Signal:
    """Nothing, in evaluation."""
    if training and p:
        raise RefusalError("drops values at random in evaluation too", "Pass training=self.training or use nn.Dropout")
    return require_signal(input)


def same(call: Call, input: Any) -> Signal:
    """The tensor as it is."""
    return require_signal(input)


def convert(call: Call, input: Any, *args: Any, **kwargs: Any) -> Signal:
    """The same values in another floating-point dtype or on another device; graphs know neither."""
    signal = require_signal(input)
    for value in (*args, *kwargs.values()):
        if isinstance(value, torch.dtype) and value not in _FLOATING:
            raise RefusalError(f"converts to {value}, which rounds the values", "Keep float32 or float64")
    return signal


def size(call: Call, input: Any, dim: int | None = None) -> Any:
    """The shape, T and B standing for themselves."""
    signal = require_signal(input)
    return torch.Size(signal.full_shape) if dim is None else signal.full_shape[signal.axis(dim)]


_ATTRIBUTES: dict[str, Callable[[Signal, Any], Any]] = {
    "shape": lambda signal, _: torch.Size(signal.full_shape),
    "ndim": lambda signal, _: len(signal.full_shape),
    "dtype": lambda _, dtype: torch.float64 if dtype is np.float64 else torch.float32,
    "device": lambda *_: torch.device("cpu"),
    "is_cuda": lambda *_: False,
    "is_sparse": lambda *_: False,
    "requires_grad": lambda *_: False,
}


def attribute(value: Any, name: str, dtype: Any) -> Any:
    """What code reads of a tensor without computing it; ``dtype`` is numpy's of the graph."""
    if not isinstance(value, Signal):
        return value
    if name not in _ATTRIBUTES:
        raise RefusalError(f"reads '.{name}' of a tensor", "Keep the whole tensor")
    return _ATTRIBUTES[name](value, dtype)


_ARITHMETIC: dict[str, Handler] = {
    "add": add,
    "sub": subtract,
    "subtract": subtract,
    "mul": multiply,
    "multiply": multiply,
    "div": divide,
    "divide": divide,
    "true_divide": divide,
    "neg": negative,
    "negative": negative,
}
_SHAPES: dict[str, Handler] = {
    "flatten": flatten,
    "reshape": reshape,
    "unflatten": unflatten,
    "squeeze": squeeze,
    "mean": mean,
    "sum": total,
    "clone": same,
    "detach": same,
}
_SIZES: dict[str, Handler] = {
    "size": size,
    "dim": lambda call, input: len(require_signal(input).full_shape),
    "numel": lambda call, input: require_signal(input).elements,
}
METHODS: dict[str, Handler] = {
    **moving.METHODS,
    **_ARITHMETIC,
    **_SHAPES,
    "view": reshape,
    "contiguous": same,
    "float": same,
    "double": same,
    "to": convert,
    **_SIZES,
}
_DROPOUTS = (
    functional.dropout,
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.alpha_dropout,
    functional.feature_alpha_dropout,
)
ARITHMETIC = frozenset(_ARITHMETIC.values())
"""Handlers in which a plain number is a value, not a size."""
FUNCTIONS: dict[Any, Handler] = {
    **moving.FUNCTIONS,
    **{getattr(torch, name): handler for name, handler in {**_ARITHMETIC, **_SHAPES}.items()},
    **pooling.FUNCTIONS,
    **enlarging.FUNCTIONS,
    **concatenation.FUNCTIONS,
    **dict.fromkeys(_DROPOUTS, dropout),
    operator.add: add,
    operator.iadd: add,
    operator.sub: subtract,
    operator.isub: subtract,
    operator.mul: multiply,
    operator.imul: multiply,
    operator.truediv: divide,
    operator.itruediv: divide,
    operator.neg: negative,
    operator.getitem: item,
    **dict.fromkeys((torch.conv1d, torch.conv2d), conv),
    functional.linear: linear,
    functional.pad: pad,
    functional.batch_norm: batch_norm,
}
"""Functions by identity; methods by name, with the trailing underscore of an in-place one taken off."""
_SHAPING: tuple[Handler, ...] = (item, reshape, squeeze, same, convert, *_SIZES.values())
TAKES_MOVED = moving.HANDLERS | SHAPING | frozenset(_SHAPING)
"""Handlers to which it makes no difference whether values are in their places yet."""
VIEWS = TAKES_MOVED | frozenset((dropout,))
"""Handlers of what torch may answer with the memory of its input, but for functions that copy by their name."""
