"""Norse's SNN with a shortcut: all steps run in one compiled pass, or on CUDA in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nirbridge_norse.fused import numba_is_there
from nirbridge_norse.norse_base import SNN

FUSED_DTYPES = (torch.float32, torch.float64)
Pass = Callable[[Any, Any], None]
"""``run(data [T, N], state)``: overwrites inputs with outputs and the state with the state after them."""


class FusedSNN(SNN):  # type: ignore[misc]
    """A neuron over [T, B, *features].

    Where neither can be used (gradients, no numba or Triton) Norse's own loop over the steps runs; all give the same
    bits.

    Args:
        activation: ``(x [B, *features], state, p, dt) -> (output, state)``.
        state_fallback: the fresh state for one frame [B, *features].
        p: named tuple of parameters.
        dt: seconds per step.
        per_feature: the tensors among them that broadcast to the features.
        make_pass: ``(p, features, batch) -> pass``, see :mod:`nirbridge_norse.fused.passes`; None where there is none.
        on_card: what does all steps where the parameters are on a CUDA device, see
            :mod:`nirbridge_norse.fused.triton_passes`; None where there is none.
    """

    def __init__(
        self,
        activation: Callable[..., tuple[Tensor, Any]],
        state_fallback: Callable[[Tensor], Any],
        p: Any,
        dt: float,
        per_feature: Iterable[Tensor],
        make_pass: Callable[[Any, tuple[int, ...], int], Pass] | None,
        on_card: Callable[[Tensor, Any], tuple[Tensor, Any]] | None = None,
    ) -> None:
        super().__init__(activation, state_fallback, p, dt)
        self._make_pass = make_pass
        self._on_card = on_card
        self._prepared: tuple[torch.Size, Pass] | None = None
        tensors = tuple(per_feature)
        self._axes = max((t.ndim for t in tensors), default=0)
        on_cpu = all(t.device.type == "cpu" and not t.requires_grad for t in tensors)
        self._fusible = make_pass is not None and numba_is_there() and on_cpu

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """[T, B, *features] and the state before → the output and the state after; arguments stay as they are."""
        if state is None:
            state = self.state_fallback(x[0])
        if self._on_card is not None and x.dtype in FUSED_DTYPES and not x.requires_grad:
            return self._on_card(x, state)
        if not self.can_fuse(x):
            output: tuple[Tensor, Any] = super().forward(x, state)
            return output
        data = x.clone(memory_format=torch.contiguous_format)
        state = type(state)(*(t.clone(memory_format=torch.contiguous_format) for t in state))
        self.run_in_place(data, state)
        return data, state

    def can_fuse(self, x: Tensor) -> bool:
        """Whether the compiled pass applies to ``x``."""
        return self._fusible and x.device.type == "cpu" and x.dtype in FUSED_DTYPES and not x.requires_grad

    def run_in_place(self, data: Tensor, state: Any) -> None:
        """Overwrites contiguous ``data`` with the output and ``state`` with the state after it."""
        shape = data.shape[1:]
        if self._prepared is None or self._prepared[0] != shape:
            assert self._make_pass is not None
            batched = len(shape) > self._axes
            features, batch = (shape[1:], shape[0]) if batched else (shape, 1)
            self._prepared = (shape, self._make_pass(self.p, tuple(features), batch))
        self._prepared[1](data.numpy().reshape(len(data), -1), state)
