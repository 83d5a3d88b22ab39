"""Checks of what a user passes to a neuron; each refuses with one line that names the class."""

from __future__ import annotations

import math
import operator
from typing import Any

import torch
from torch import Tensor

from nirbridge.errors import InputError

MAX_LANES = 32
MAX_LEVELS = 65_536
SMALLEST_LEVEL = torch.finfo(torch.float32).tiny


def whole(owner: str, name: str, value: Any, low: int, high: int) -> int:
    """``value`` as an int within low..high.

    Raises:
        InputError: not a whole number, or outside the limits.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = low - 1
    if isinstance(value, bool) or not low <= number <= high:
        raise InputError(
            owner, f"{name}={value!r} is not a whole number from {low} to {high}", f"Choose another {name}"
        )
    return number


def choose(owner: str, name: str, value: Any, options: tuple[str, ...]) -> str:
    """``value`` if it is one of ``options``.

    Raises:
        InputError: it is not.
    """
    if not isinstance(value, str) or value not in options:
        known = ", ".join(repr(option) for option in options)
        raise InputError(owner, f"unknown {name} {value!r}", f"Use one of {known}")
    return value


def number(owner: str, name: str, value: Any) -> float:
    """``value`` as a finite float.

    Raises:
        InputError: not a number, or infinite or NaN.
    """
    try:
        result = float(value.detach() if isinstance(value, Tensor) else value)
    except (TypeError, ValueError, RuntimeError):
        result = math.nan
    if isinstance(value, (bool, str)) or not math.isfinite(result):
        raise InputError(owner, f"{name}={value!r} is not a finite number", f"Give {name} as one number")
    return result


def positive(owner: str, name: str, value: Any) -> float:
    """``value`` as a finite float above 0.

    Raises:
        InputError: it is not.
    """
    result = number(owner, name, value)
    if result <= 0:
        raise InputError(owner, f"{name} is {result:g}, not above 0", f"Give a positive {name}")
    return result


def number_or_tensor(owner: str, name: str, value: Any) -> float | Tensor:
    """A number as a float; a tensor as its own floating-point copy, which broadcasts over the features.

    Raises:
        InputError: not a number or tensor, or a value that is not finite.
    """
    if not isinstance(value, Tensor):
        return number(owner, name, value)
    copy = value.detach().clone()
    if not copy.is_floating_point():
        copy = copy.to(torch.get_default_dtype())
    if copy.numel() == 0 or not bool(torch.isfinite(copy).all()):
        raise InputError(owner, f"{name} of shape {tuple(value.shape)} is empty or not finite", f"Check {name}")
    return copy


def within(owner: str, name: str, value: float | Tensor, low: float, high: float = math.inf) -> float | Tensor:
    """``value`` if all of it lies in low..high, both included.

    Raises:
        InputError: it does not.
    """
    least, most = (float(value.min()), float(value.max())) if isinstance(value, Tensor) else (value, value)
    if least < low or most > high:
        limit = f"below {low:g}" if least < low else f"above {high:g}"
        raise InputError(
            owner, f"{name} is {least if least < low else most:g}, {limit}", f"Keep it in {low:g} to {high:g}"
        )
    return value


def all_positive(owner: str, name: str, value: Any, levels: int = 1) -> float | Tensor:
    """A number, or a tensor as its own copy, whose every element is above 0 and has room for ``levels`` levels.

    Raises:
        InputError: it is not, or a level would be smaller than float32 holds in full precision.
    """
    result = number_or_tensor(owner, name, value)
    least = float(result.min()) if isinstance(result, Tensor) else result
    if least <= 0:
        raise InputError(owner, f"{name} is {least:g}, not above 0", f"Give a positive {name}")
    if least / levels < SMALLEST_LEVEL:
        found = f"{name} is {least:g}: a level of {least / levels:g} is below {SMALLEST_LEVEL:.4g}"
        raise InputError(owner, found, f"Give a larger {name}")
    return result


def require_fitting(owner: str, x: Tensor, values: dict[str, Any]) -> None:
    """Refuses an input that is not [T, B, *features], or tensors of ``values`` that would widen its features.

    Raises:
        InputError: one of both.
    """
    if x.ndim < 2 or x.shape[0] < 1 or x.is_complex():
        found = f"input of shape {tuple(x.shape)} and {x.dtype} is not real [T, B, ...] with T >= 1"
        raise InputError(owner, found, "Put time on axis 0 and the batch on axis 1, or wrap the net in OverTime")
    features = tuple(x.shape[2:])
    for name, value in values.items():
        shape = tuple(value.shape) if isinstance(value, Tensor) else ()
        padded = (1,) * (len(features) - len(shape)) + shape
        if len(padded) != len(features) or any(a not in (1, b) for a, b in zip(padded, features, strict=True)):
            found = f"{name} of shape {shape} does not broadcast to features {features}"
            raise InputError(owner, found, "Give one number, or (C, 1, 1) for channels of (C, H, W)")
