"""Products of tensors that depend on the input: a Place for each factor, and Product."""

from __future__ import annotations

from typing import Any

import numpy as np

from nirbridge.exporting.call import Call
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.ir import Place, Product, Shape


def product(call: Call, input: Any, other: Any) -> Signal:
    """x y, element by element; a factor with one value for many places is repeated, by torch's own rule."""
    left, right = require_signal(input), require_signal(other)
    shape = _common_shape(left, right)
    slots = (2 * shape[0], *shape[1:])
    placed = [_placed(call, signal, slots, index) for index, signal in enumerate((left, right))]
    sources = tuple(name for signal in placed for name in signal.sources)
    return call.emit(Product(slots, 2), Signal(sources, slots, left.leading))


def _placed(call: Call, signal: Signal, slots: Shape, index: int) -> Signal:
    size = slots[0] // 2
    return call.emit(Place(signal.shape, slots, index * size, (index + 1) * size), signal, f"factor{index}")


def _common_shape(left: Signal, right: Signal) -> Shape:
    """The shape of x y where time and batch stand alike.

    Raises:
        RefusalError: they do not, the features have different numbers of axes, or none, or do not broadcast.
    """
    found = f"multiplies features {left.shape} of {left.leading.text} and {right.shape} of {right.leading.text}"
    if left.leading is not right.leading:
        raise RefusalError(found, "Bring time and batch of both to the same axes", leading=True)
    if len(left.shape) != len(right.shape):
        step = "Give both as many axes, as (C, 1, 1) for a factor of each channel: keepdim=True keeps them"
        raise RefusalError(found, step)
    if not left.shape:
        raise RefusalError("multiplies tensors without a feature axis", "Keep one axis for the features")
    try:
        return np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        raise RefusalError(f"{found}, which do not broadcast", "Bring both to one shape") from None
