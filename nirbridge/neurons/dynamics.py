"""The neurons' step by step mathematics as pure functions: state in, state out.

Every comparison is made with the product of level and quantum itself, ``u >= k q``, never with a rounded ``u / q``.
So the spikes are those of the exported graph, whose lanes hold the same products.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def charge(x: Tensor, v: Tensor, decay: float | Tensor, gain: float | Tensor) -> Tensor:
    """u = decay·v + gain·x, with the factor left out where it is the number 1."""
    kept = v if isinstance(decay, float) and decay == 1.0 else decay * v
    added = x if isinstance(gain, float) and gain == 1.0 else gain * x
    return kept + added


def lane_table(units: Tensor, quantum: Tensor) -> Tensor:
    """The products units[s]·quantum, of shape (S,) for one quantum, (S, ...) for a quantum of shape (...)."""
    return units.reshape(-1, *(1,) * quantum.ndim) * quantum


def one_hot_level(u: Tensor, units: Sequence[float], lane_threshold: Tensor, boundary: str) -> Tensor:
    """Weight of the highest lane with u > lane_threshold[s] (or >=), else 0; same shape as ``u``.

    Args:
        u: membrane after charging.
        units: the S weights, rising, each difference exact in the dtype of ``u``.
        lane_threshold: (S, ...), rising along axis 0.
        boundary: ">" or ">=".
    """
    above = torch.gt if boundary == ">" else torch.ge
    level = torch.zeros_like(u)
    below = 0.0
    for unit, threshold in zip(units, lane_threshold, strict=True):
        # Thresholds rise, so the lanes below the highest are passed too and the increments add up to its weight.
        level.add_(above(u, threshold), alpha=unit - below)
        below = unit
    return level


def uniform_level(u: Tensor, quantum: Tensor, levels: int) -> Tensor:
    """The highest k in 0..levels with k = 0 or u >= k·quantum; same shape as ``u``."""
    k = torch.floor(u / quantum).clamp_(0, levels)
    # The quotient rounds: put right the estimate, which is at most one off.
    k += u >= (k + 1) * quantum
    k -= (u < k * quantum).to(k.dtype)
    return k.clamp_(0, levels)


def reset_to(u: Tensor, level: Tensor, v_reset: float) -> Tensor:
    """v = v_reset where a lane fired, else u."""
    return torch.where(level > 0, v_reset, u)


def run(x: Tensor, v: Tensor, step: Step) -> Tensor:
    """The outputs [T, B, ...] of ``step`` along axis 0 of ``x`` [T, B, ...], from the state ``v`` [B, ...]."""
    outputs = []
    for current in x.unbind(0):
        y, v = step(current, v)
        outputs.append(y)
    return torch.stack(outputs)
