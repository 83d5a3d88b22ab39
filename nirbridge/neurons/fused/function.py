"""The fused passes as one operation of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nirbridge.neurons.fused import switch
from nirbridge.neurons.fused.layout import Layout
from nirbridge.neurons.fused.rules import Number, Pass, Rule
from nirbridge.neurons.fused.structs import Neurons
from nirbridge.neurons.gradients import straight_through

# Outputs are made by numpy, which asks the system for huge pages: mapping a large array in small ones takes longer than
# a pass does.
_DTYPES: dict[torch.dtype, np.dtype[Any]] = {torch.float32: np.dtype(np.float32), torch.float64: np.dtype(np.float64)}


def run_fused(x: Tensor, quantum: Tensor, decay: Number, rule: Rule, mixing: Tensor | None = None) -> Tensor:
    """The outputs [T, B, ...] of a neuron for the inputs ``x`` [T, B, ...].

    Args:
        x: on the CPU or on CUDA, float32 or float64.
        quantum: θ or q in the dtype of ``x``, one number or broadcastable to the features.
        decay: λ, likewise.
        rule: the neuron's family.
        mixing: Ω (T, T) in the dtype of ``x``; the neuron then gets Σ_j Ω[t, j] x[j].
    """
    if switch.runs_kernels(x):
        from nirbridge.neurons.fused.on_card import run_on_card

        return run_on_card(x, quantum, decay, rule, mixing)
    if rule.is_transparent:
        return straight_through(x, _forward(x.detach(), quantum, decay, rule, None)[0])
    y: Tensor = _Fused.apply(x, quantum, decay, rule, mixing)
    return y


def _forward(
    x: Tensor, quantum: Tensor, decay: Number, rule: Rule, mixing: Tensor | None
) -> tuple[Tensor, Tensor, Pass]:
    """The outputs, the inputs as rows, and the numbers of the pass."""
    tensors = tuple(each for each in (quantum, decay, *rule.parameters) if isinstance(each, Tensor))
    layout, dtype = Layout.of(x, tensors), _DTYPES[x.dtype]
    omega = np.empty((0, 0), dtype) if mixing is None else mixing.detach().contiguous().numpy()
    v_init, leak, q = (layout.spread(each, dtype) for each in (rule.v_init, decay, quantum))
    run = Pass(layout, Neurons(v_init, leak, q, omega))
    rows = layout.rows(x)
    y = np.empty(rows.shape, dtype)
    rule.forward(run, rows.numpy(), y, run.none())
    return layout.unrolled(torch.from_numpy(y)), rows, run


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantum: Tensor, decay: Number, rule: Rule, mixing: Tensor | None) -> Tensor:
        y, rows, ctx.run = _forward(x.detach(), quantum, decay, rule, mixing)
        ctx.rule = rule
        # No activity but the inputs: the backward pass computes the rest again, which is faster than to store and load
        # it. The parameters are saved for torch to notice that they were changed meanwhile.
        ctx.save_for_backward(rows, quantum, decay if isinstance(decay, Tensor) else None, mixing)
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]  # torch leaves it without types
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        rows, quantum, decay, mixing = ctx.saved_tensors
        layout: Layout = ctx.run.layout
        out = np.empty(rows.shape, ctx.run.dtype)
        needed = ctx.needs_input_grad
        learns = needed[1] or needed[2] or needed[4]
        sums = ctx.rule.backward(ctx.run, rows.numpy(), layout.rows(grad).numpy(), out, learns)
        return (
            layout.unrolled(torch.from_numpy(out)),
            layout.gathered(sums.quantum, quantum) if needed[1] and sums.quantum.size else None,
            layout.gathered(sums.decay, decay) if needed[2] and sums.decay.size else None,
            None,
            torch.from_numpy(sums.mixing).to(mixing.dtype) if needed[4] else None,
        )
