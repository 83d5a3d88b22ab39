"""Comparisons with a slope: what lets a step in plain operators be trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nirbridge.neurons.surrogates import Surrogate

_ABOVE = {torch.Tensor.gt, torch.Tensor.__gt__, torch.gt, torch.Tensor.ge, torch.Tensor.__ge__, torch.ge}
_BELOW = {torch.Tensor.lt, torch.Tensor.__lt__, torch.lt, torch.Tensor.le, torch.Tensor.__le__, torch.le}
_AND = {torch.Tensor.__and__, torch.Tensor.bitwise_and, torch.bitwise_and}
_OR = {torch.Tensor.__or__, torch.Tensor.bitwise_or, torch.bitwise_or}
_NOT = {torch.Tensor.__invert__, torch.Tensor.bitwise_not, torch.bitwise_not}


class _Compare(torch.autograd.Function):
    """1.0 where the comparison holds; backward h(a - b), with the sign of the comparison."""

    @staticmethod
    def forward(ctx: Any, distance: Tensor, holds: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return holds.to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (distance,) = ctx.saved_tensors
        return gradients[0] * ctx.surrogate.derivative(distance), None, None


class SurrogateComparisons(TorchFunctionMode):
    """Within the block a comparison of tensors is a number, 1 where it holds, with the slope of ``surrogate``.

    ``&``, ``|`` and ``~`` of such numbers are products, sums and complements; ``torch.where`` chooses by them.
    """

    def __init__(self, surrogate: Surrogate) -> None:
        super().__init__()
        self.surrogate = surrogate

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Replaces comparisons, what joins them, and the condition of a choice."""
        if func in _ABOVE or func in _BELOW:
            first, second = args
            distance = first - second if func in _ABOVE else second - first
            return _Compare.apply(distance, func(first, second), self.surrogate)
        if func in _AND:
            return args[0] * args[1]
        if func in _OR:
            return args[0] + args[1] - args[0] * args[1]
        if func in _NOT:
            return 1 - args[0]
        if func is torch.where and len(args) == 3 and args[0].is_floating_point():
            return torch.where(args[0] > 0, args[1], args[2])
        return func(*args, **(kwargs or {}))
