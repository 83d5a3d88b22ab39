"""Norse's SNN with a shortcut: all steps run in one compiled pass, or on CUDA in one kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from nirbridge.machine_code import numba_is_there
from nirbridge_norse.fused.layout import Order, order_of
from nirbridge_norse.norse_base import SNN

FUSED_DTYPES = (torch.float32, torch.float64)
Pass = Callable[[Any, Any], Callable[[], None]]
"""``pass(data, out)``, both [T, N] and perhaps the same memory, gives what runs; that overwrites the bound states."""


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
        make_pass: ``(p, state, order, batch) -> pass``, see :mod:`nirbridge_norse.fused.passes`; None for none.
        start: what the states are at the start, each broadcasting to the features.
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
        make_pass: Callable[[Any, Any, Order, int], Pass] | None,
        start: tuple[Tensor, ...],
        on_card: Callable[[Tensor, Any], tuple[Tensor, Any]] | None = None,
    ) -> None:
        super().__init__(activation, state_fallback, p, dt)
        self._make_pass = make_pass
        self._on_card = on_card
        self.start = start
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
        if x.ndim == self._axes + 1:  # without a batch
            one = type(state)(*(t[None] for t in state))
            y, state = self.forward(x[:, None], one)
            return y[:, 0], type(state)(*(t[0] for t in state))
        order = order_of(x)
        data = order.dense(x)
        y = order.new(tuple(x.shape), x.dtype)
        state = type(state)(*(order.dense(t).clone() for t in state))
        self.bind(state, order)(order.seen(data).reshape(len(x), -1), order.seen(y).reshape(len(x), -1))()
        return y, state

    def can_fuse(self, x: Tensor) -> bool:
        """Whether the compiled pass applies to ``x``."""
        return self._fusible and x.device.type == "cpu" and x.dtype in FUSED_DTYPES and not x.requires_grad

    def bind(self, state: Any, order: Order) -> Pass:
        """The pass that overwrites ``state``, tensors that are dense in ``order``, with the state after it."""
        assert self._make_pass is not None
        return self._make_pass(self.p, state, order, len(state[0]))
