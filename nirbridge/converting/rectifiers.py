"""ReLU, and ReLU with a ceiling under all its names: the places of spiking neurons."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nirbridge.converting.markers import Relu
from nirbridge.exporting.call import Call, Handler, with_fields
from nirbridge.exporting.signal import RefusalError, Signal, require_signal


def relu(call: Call, input: Any, inplace: bool = False) -> Signal:
    """max(x, 0): the place of a spiking neuron."""
    return call.emit(Relu(), require_signal(input))


def clamp(call: Call, input: Any, min: Any = None, max: Any = None) -> Signal:
    """max(x, 0), with a ceiling c min(max(x, 0), c), whatever it is called: the code ends at c."""
    signal = require_signal(input)
    low, high = (_bound(value) for value in (min, max))
    if low != 0 or not (high is None or high > 0):
        found = f"keeps values between {min} and {max}, and a phase code those from 0 on"
        raise RefusalError(found, "Clamp from 0 to a number above 0", result=signal)
    return call.emit(Relu(ceiling=math.inf if high is None else high), signal)


def _bound(value: Any) -> float | None:
    """One number; NaN for anything else, which is no bound."""
    if value is None:
        return None
    one = isinstance(value, (int, float)) or (isinstance(value, Tensor) and value.numel() == 1)
    return float(value) if one else math.nan


def _clamp_min(call: Call, input: Any, min: Any) -> Signal:
    return clamp(call, input, min)


def relu6(call: Call, input: Any, inplace: bool = False) -> Signal:
    """min(max(x, 0), 6)."""
    return clamp(call, input, 0, 6)


def hardtanh(call: Call, input: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Signal:
    """The same between any two numbers; the lower one has to be 0."""
    return clamp(call, input, min_val, max_val)


def threshold(call: Call, input: Any, threshold: Any, value: Any, inplace: bool = False) -> Signal:
    """x above a threshold and a value elsewhere; both have to be 0."""
    if _bound(threshold) != 0 or _bound(value) != 0:
        found = f"sends {value} for what is not above {threshold}, and a phase code 0 for what is not above 0"
        raise RefusalError(found, "Use ReLU, or Threshold(0, 0), which is the same", result=require_signal(input))
    return relu(call, input)


MODULES: dict[type[nn.Module], Handler] = {
    nn.ReLU: with_fields(relu),
    **dict.fromkeys((nn.ReLU6, nn.Hardtanh), with_fields(clamp, "min_val", "max_val")),
    nn.Threshold: with_fields(threshold, "threshold", "value"),
}
FUNCTIONS: dict[Any, Handler] = {
    **dict.fromkeys((torch.relu, torch.relu_, functional.relu, functional.relu_), relu),
    functional.relu6: relu6,
    **dict.fromkeys((functional.hardtanh, functional.hardtanh_), hardtanh),
    **dict.fromkeys((functional.threshold, torch.threshold, torch.threshold_), threshold),
    **dict.fromkeys((torch.clamp, torch.clamp_, torch.clip, torch.clip_), clamp),
    **dict.fromkeys((torch.clamp_min, torch.clamp_min_), _clamp_min),
}
METHODS: dict[str, Handler] = {
    **dict.fromkeys(("relu", "relu_"), relu),
    **dict.fromkeys(("clamp", "clamp_", "clip", "clip_"), clamp),
    **dict.fromkeys(("clamp_min", "clamp_min_"), _clamp_min),
}
