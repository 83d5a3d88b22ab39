"""Numbers of a step in torch: what numpy and compiled passes take for numbers of the data's dtype."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_ARITHMETIC = ("add", "sub", "mul", "div", "truediv", "pow", "neg")


class Counting(TorchFunctionMode):
    """Within the block a comparison that is calculated with counts as 1 where it holds, in ``dtype``.

    torch itself takes its default dtype for what is made of comparisons and plain numbers alone, as ``0.1 * (v > 1)``
    and ``where(v > 1, 0.1, 0.3)``, and refuses ``1 - (v > 1)``.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Converts what arithmetic and a choice get."""
        if func is torch.where and len(args) == 3:
            condition, first, second = args
            if not any(isinstance(branch, Tensor) for branch in (first, second)):
                first = torch.full((), first, dtype=self.dtype, device=condition.device)
            args = condition, self._number(first), self._number(second)
        elif getattr(func, "__name__", "").strip("_").removeprefix("r") in _ARITHMETIC:
            args = tuple(map(self._number, args))
        return func(*args, **(kwargs or {}))

    def _number(self, value: Any) -> Any:
        return value if not isinstance(value, Tensor) or value.is_floating_point() else value.to(self.dtype)
