"""Concatenation over features: each tensor in its own place among zeros, and their sum.

Along the first feature axis a ``Place`` puts it there; along height and width a convolution pads it with zeros.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from nirbridge.exporting.call import Call, Handler
from nirbridge.exporting.signal import RefusalError, Signal, require_signal
from nirbridge.exporting.windows import pad_places
from nirbridge.ir import Place

_FEATURES = "Concatenate features alone, as torch.cat([x, y], dim=-1) or dim=-3"


def concatenate(call: Call, tensors: Any, dim: Any = 0) -> Signal:
    """torch.cat of tensors that depend on the input, along a feature axis."""
    signals = [require_signal(one) for one in tensors]
    first = signals[0]
    if any(one.leading is not first.leading for one in signals):
        found = f"concatenates {' and '.join(sorted({one.leading.text for one in signals}))}"
        raise RefusalError(found, "Bring time and batch of all to the same axes", leading=True)
    axis = first.axis(dim) - first.leading.axes
    if axis < 0:
        raise RefusalError(f"concatenates along axis {dim}, over time or batch", _FEATURES, leading=True)
    others = [one.shape[:axis] + one.shape[axis + 1 :] for one in signals]
    if any(other != others[0] for other in others):
        found = f"concatenates features {', '.join(str(one.shape) for one in signals)}"
        raise RefusalError(found, "Let them differ along that axis alone")
    return _placed(call, signals, axis)


def _placed(call: Call, signals: list[Signal], axis: int) -> Signal:
    if axis and len(signals[0].shape) - 1 not in (1, 2):
        raise RefusalError(f"concatenates axis {axis} of features {signals[0].shape}", _FEATURES)
    size = sum(one.shape[axis] for one in signals)
    sources: list[str] = []
    start = 0
    for index, one in enumerate(signals):
        named = replace(call, name=f"{call.name}.part{index}")
        stop = start + one.shape[axis]
        if axis == 0:
            part = named.emit(Place(one.shape, (size, *one.shape[1:]), start, stop), one)
        else:
            sides = [(0, 0)] * (len(one.shape) - 1)
            sides[axis - 1] = (start, size - stop)
            part = pad_places(named, one, sides)
        sources += part.sources
        start = stop
    shape = (*signals[0].shape[:axis], size, *signals[0].shape[axis + 1 :])
    return Signal(tuple(sources), shape, signals[0].leading)


def stack(call: Call, tensors: Any, dim: Any = 0) -> Signal:
    """torch.stack adds an axis: mostly that of time, behind a loop over steps."""
    raise RefusalError(
        "adds an axis, for which a graph has no node",
        "Let forward make one step, without a loop over steps: the graph runs over time",
    )


FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((torch.cat, torch.concat, torch.concatenate), concatenate),
    torch.stack: stack,
}
