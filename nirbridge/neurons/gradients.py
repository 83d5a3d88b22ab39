"""Autograd functions: exact levels forward, a surrogate's slope or a straight line backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from nirbridge.neurons.surrogates import Surrogate


class LevelSlope(Protocol):
    """The slope of a level, in units of the quantum, over the membrane."""

    def __call__(self, u: Tensor, quantum: Tensor) -> Tensor:
        """dlevel/du, same shape as ``u``."""


@dataclass(frozen=True)
class OneHotSlope:
    """dlevel/du of a one-hot neuron: Σ_s c_s h(r_s)/(w_s θ), r_s = u/(w_s θ) - 1.

    Lane s has slope h(r_s)/(w_s θ) - h(r_{s+1})/(w_{s+1} θ), the top lane its first term only. Weighted with w_s and
    ordered by h this gives c_s = w_s - w_{s-1}, where w_{-1} = 0. Mode "sum" adds the two terms, as the authors' code
    does: c_s = w_s + w_{s-1}.

    Source: Abillama et al., IEEE Access 2025, equation 10.
    """

    surrogate: Surrogate
    units: tuple[float, ...]
    mode: str

    def __call__(self, u: Tensor, quantum: Tensor) -> Tensor:
        """dlevel/du at θ = ``quantum``."""
        sign = -1.0 if self.mode == "difference" else 1.0
        slope = torch.zeros_like(u)
        below = 0.0
        for unit in self.units:
            threshold = unit * quantum
            slope += (unit + sign * below) / threshold * self.surrogate.derivative(u / threshold - 1.0)
            below = unit
        return slope


@dataclass(frozen=True)
class UniformSlope:
    """dz/du of N equal levels of size q, for a surrogate h as steep in units of one level as at V_th for N = 1.

    Mode "sum": Σ_{n=1..N} h(u/q - n)/q. Mode "single": h(u/V_th - 1)/q, one rise at V_th = N q. Equal for N = 1.

    Source: Castagnetti, Pegatoquet and Miramond, 2025; how the levels share the surrogate is not stated there,
    so it is a parameter.
    """

    surrogate: Surrogate
    levels: int
    mode: str

    def __call__(self, u: Tensor, quantum: Tensor) -> Tensor:
        """dz/du at q = ``quantum``."""
        scaled = u / quantum
        if self.mode == "single":
            return self.surrogate.derivative(scaled / self.levels - 1.0) / quantum
        slope = torch.zeros_like(u)
        for n in range(1, self.levels + 1):
            slope += self.surrogate.derivative(scaled - n)
        return slope / quantum


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, quantum: Tensor, fire: Callable[[Tensor], Tensor], slope: LevelSlope) -> Tensor:
        ctx.save_for_backward(u, quantum)
        ctx.slope = slope
        return fire(u)

    @staticmethod
    def backward(ctx: Any, grad_level: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        u, quantum = ctx.saved_tensors
        grad_u = grad_level * ctx.slope(u, quantum)
        # A level depends on u/quantum alone, so its slope over the quantum is -(u/quantum) times that over u.
        grad_quantum = (-grad_u * u / quantum).sum_to_size(quantum.shape) if ctx.needs_input_grad[1] else None
        return grad_u, grad_quantum, None, None


def spike(u: Tensor, quantum: Tensor, fire: Callable[[Tensor], Tensor], slope: LevelSlope) -> Tensor:
    """``fire(u)``, with ``slope`` as its derivative over ``u`` and -(u/quantum)·slope over ``quantum``.

    Args:
        u: membrane after charging, any shape.
        quantum: θ or q, broadcastable to ``u``.
        fire: the exact level of a membrane, in units of the quantum.
        slope: the surrogate slope dlevel/du.
    """
    level: Tensor = _Spike.apply(u, quantum, fire, slope)
    return level


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, value: Tensor, low: Tensor | None, high: Tensor | None) -> Tensor:
        if low is not None:
            ctx.save_for_backward(u, low, high)
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        if ctx.saved_tensors:
            u, low, high = ctx.saved_tensors
            grad = grad * ((u >= low) & (u <= high))
        return grad, None, None, None


def straight_through(u: Tensor, value: Tensor, window: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """``value``, with derivative 1 over ``u``; with a window (low, high), 1 where low <= u <= high, else 0."""
    low, high = window if window is not None else (None, None)
    result: Tensor = _StraightThrough.apply(u, value.detach(), low, high)
    return result


class _Bounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, parameter: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(parameter)
        ctx.limits = (low, high)
        return parameter.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (parameter,) = ctx.saved_tensors
        low, high = ctx.limits
        outward = ((parameter > high) & (grad < 0)) | ((parameter < low) & (grad > 0))
        return grad.masked_fill(outward, 0.0), None, None


def bounded(parameter: Tensor, low: float, high: float) -> Tensor:
    """``parameter`` clamped to low..high, whose gradient is stopped only where descent would lead further out.

    A plain clamp also stops the gradient that leads back, so a parameter that once crossed its limit would stay there.
    """
    result: Tensor = _Bounded.apply(parameter, low, high)
    return result
