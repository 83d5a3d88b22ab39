"""The fused passes as one operation of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nirbridge.neurons.fused.layout import Layout
from nirbridge.neurons.fused.rules import Pass, Rule
from nirbridge.neurons.gradients import straight_through


def run_fused(x: Tensor, v: Tensor, quantum: Tensor, decay: float | Tensor, rule: Rule) -> Tensor:
    """The outputs [T, B, ...] of a neuron for the inputs ``x`` [T, B, ...].

    Args:
        x: on the CPU, float32 or float64.
        v: membrane before the first step [B, ...], not learned.
        quantum: θ or q in the dtype of ``x``, one number or broadcastable to the features.
        decay: λ, likewise.
        rule: the neuron's family.
    """
    leak = decay if isinstance(decay, Tensor) else x.new_tensor(decay)
    if rule.is_transparent:
        return straight_through(x, _Fused.apply(x.detach(), v, quantum, leak, rule, False))
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, quantum, leak))
    y: Tensor = _Fused.apply(x, v, quantum, leak, rule, keep)
    return y


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, v: Tensor, quantum: Tensor, decay: Tensor, rule: Rule, keep: bool) -> Tensor:
        shape, steps = x.shape, x.shape[0]
        layout = Layout.of(x, (quantum, decay, *rule.parameters))
        # A resolved copy, since the pass leaves the last state in it.
        state = torch.empty_like(x[0], memory_format=torch.contiguous_format).copy_(v)
        start = state.clone() if keep and decay.requires_grad else state
        y = torch.empty(shape, dtype=x.dtype)
        u = torch.empty((steps if keep else 1, *shape[1:]), dtype=x.dtype)
        run = Pass(layout, _flat(u, len(u)), _flat(y, steps), _flat(start, 1)[0], quantum, decay)
        rule.forward(run, _flat(x.contiguous(), steps), _flat(state, 1)[0])
        if keep:
            ctx.save_for_backward(u, y, start, quantum, decay)
            ctx.rule, ctx.layout = rule, layout
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]  # torch leaves it without types
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor | None, Tensor | None, None, None]:
        u, y, start, quantum, decay = ctx.saved_tensors
        steps = len(u)
        run = Pass(ctx.layout, _flat(u, steps), _flat(y, steps), _flat(start, 1)[0], quantum, decay)
        out = torch.empty_like(u, memory_format=torch.contiguous_format)
        wanted = (ctx.needs_input_grad[2], ctx.needs_input_grad[3])
        sums = ctx.rule.backward(run, _flat(grad.contiguous(), steps), _flat(out, steps), wanted)
        in_quantum, in_decay = (
            ctx.layout.gathered(each, parameter) if want else None
            for each, parameter, want in zip(sums, (quantum, decay), wanted, strict=True)
        )
        return out, None, in_quantum, in_decay, None, None


def _flat(tensor: Tensor, rows: int) -> np.ndarray[Any, Any]:
    return tensor.detach().reshape(rows, -1).numpy()
