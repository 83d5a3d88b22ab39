"""The passes on CUDA as one operation of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nirbridge.neurons.fused.layout import differing_axes
from nirbridge.neurons.fused.rules import Number, OneHotRule, Rule, StraightRule, UniformRule, rises_of
from nirbridge.neurons.fused.surrogates import GIVEN, is_compiled, kind_of
from nirbridge.neurons.gradients import straight_through

BLOCK = 256
"""Neurons of one program: two to each thread, as the backward pass holds a dozen numbers of each."""


def run_on_card(x: Tensor, quantum: Tensor, decay: Number, rule: Rule, mixing: Tensor | None) -> Tensor:
    """As :func:`nirbridge.neurons.fused.function.run_fused`; a ``mixing`` is left to torch."""
    if mixing is not None:
        with torch.autocast(x.device.type, enabled=False):
            x = torch.tensordot(mixing, x, dims=([1], [0]))
    if rule.is_transparent:
        return straight_through(x, _Call(x.detach(), quantum, decay, rule).forward()[0])
    y: Tensor = _FusedOnCard.apply(x, quantum, decay, rule)
    return y


@dataclass
class _Call:
    """What a pair of kernels needs of one call; data stay in the order of memory that they come in, where it will do.

    Attributes:
        groups: the feature axes by which parameters differ; () where each is one number.
        inner: neurons side by side that share parameters.
    """

    x: Tensor
    quantum: Tensor
    decay: Number
    rule: Any
    groups: tuple[int, ...] = field(init=False)
    inner: int = field(init=False)

    def __post_init__(self) -> None:
        tensors = (self.quantum, self.decay, *self.rule.parameters)
        features = tuple(self.x.shape[2:])
        self.groups = features[: differing_axes(features, tuple(t for t in tensors if isinstance(t, Tensor)))]
        frame = self.x[0]
        channels_last = frame.ndim == 4 and frame.is_contiguous(memory_format=torch.channels_last)
        if channels_last and len(self.groups) < 2 and self.x.stride(0) == frame.numel():
            self.inner = 1
        else:
            self.x, self.inner = self.x.contiguous(), prod(features[len(self.groups) :])
        self.parameters = tuple(self.spread(each) for each in (self.rule.v_init, self.decay, self.quantum))

    def spread(self, parameter: Number) -> Tensor:
        """One number for each group."""
        count, like = prod(self.groups), self.x
        if not isinstance(parameter, Tensor):
            return torch.full((count,), parameter, dtype=like.dtype, device=like.device)
        values = parameter.detach().to(like.device, like.dtype)
        values = values.reshape((1,) * (like.ndim - 2 - values.ndim) + tuple(values.shape))
        return values.expand(*self.groups, *values.shape[len(self.groups) :]).reshape(-1).contiguous()

    def laid_out(self, tensor: Tensor) -> Tensor:
        """In the memory's order of x."""
        return tensor if tensor.stride() == self.x.stride() else torch.empty_like(self.x).copy_(tensor)

    def gathered(self, sums: Tensor, parameter: Tensor) -> Tensor:
        """Sums by group, summed to the shape of ``parameter``, in its dtype."""
        ones = (1,) * (self.x.ndim - 2 - len(self.groups))
        total = sums.to(parameter.dtype).reshape(*self.groups, *ones)
        return total.sum().reshape(parameter.shape) if parameter.numel() == 1 else total.sum_to_size(parameter.shape)

    def constants(self) -> dict[str, Any]:
        """Of the family, compiled into the kernels."""
        rule = self.rule
        if isinstance(rule, OneHotRule):
            units, hard = rule.slope.units, rule.reset == "value"
            found = {"ONE_HOT": True, "LOWEST": units[0], "HIGHEST": units[-1], "SENDS_VALUES": False}
            return found | {"GAIN": rule.gain, "STRICT": rule.boundary == ">", "HARD": hard, "V_RESET": rule.v_reset}
        count, sends = (rule.slope.levels, rule.sends_values) if isinstance(rule, UniformRule) else (rule.levels, True)
        found = {"ONE_HOT": False, "LOWEST": 1.0, "HIGHEST": float(count), "SENDS_VALUES": sends}
        return found | {"GAIN": 1.0, "STRICT": False, "HARD": False, "V_RESET": 0.0}

    def forward(self, keeps: bool = False) -> tuple[Tensor, Tensor]:
        """The outputs, and the membranes after charging where it ``keeps`` them."""
        from nirbridge.neurons.fused.kernels import forward

        y = torch.empty_like(self.x)
        u = torch.empty_like(self.x) if keeps else y
        self._launch(forward, (self.x, y, u, *self.parameters), (), **self.constants(), KEEPS=keeps)
        return y, u

    def backward(self, grad: Tensor, learns: bool) -> tuple[Tensor, Tensor]:
        """The gradient of x, and where it ``learns`` the sums (3, G) that those of parameters are made of."""
        from nirbridge.neurons.fused.kernels import backward

        x, rule, kind, terms = self.x, self.rule, GIVEN, 0
        straight = isinstance(rule, StraightRule)
        out, given, rises, low, high = torch.empty_like(x), x, x, x, x
        if straight:
            first, last, theta = rule.window or (-np.inf, np.inf, 1.0)
            low, high = first * self.spread(theta), last * self.spread(theta)
        elif is_compiled(rule.slope.surrogate):
            kind, units = _terms(rule.slope.surrogate, rises_of(rule.slope), x.device)
            terms, quantum = len(units), self.parameters[2].double()[:, None]
            rises = units.repeat(len(quantum), 1, 1)
            rises[:, :, :2] /= quantum[:, :, None]
            rises = rises.to(x.dtype)
        else:
            _, u = self.forward(keeps=True)
            axes = (1,) * (x.ndim - 2 - len(self.groups))
            given = rule.slope(u, self.parameters[2].reshape(*self.groups, *axes))
            given = self.laid_out(given)
        sums = x.new_empty(3, x[0].numel() if learns else 0)
        how = {"STRAIGHT": straight, "CARRIES": straight and rule.carries, "KIND": kind, "LEARNS": learns}
        arrays = (x, self.laid_out(grad), out, given, sums, *self.parameters, rises, low, high)
        self._launch(backward, arrays, (terms,), **self.constants(), **how)
        by_group = sums.reshape(3, -1, prod(self.groups), self.inner)
        return out, by_group.sum((1, 3), dtype=torch.float64)

    def _launch(self, kernel: Any, arrays: tuple[Tensor, ...], numbers: tuple[int, ...], **constants: Any) -> None:
        sizes = len(self.x), self.x[0].numel(), self.inner, prod(self.groups)
        with torch.cuda.device(self.x.device if self.x.is_cuda else -1):
            # Without fusion of products and sums, which changes bits.
            kernel[(-(-sizes[1] // BLOCK),)](
                *arrays, *sizes, *numbers, **constants, BLOCK=BLOCK, enable_fp_fusion=False
            )


class _FusedOnCard(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantum: Tensor, decay: Number, rule: Rule) -> Tensor:
        call = _Call(x.detach(), quantum, decay, rule)
        ctx.rule, ctx.number = rule, None if isinstance(decay, Tensor) else decay
        ctx.save_for_backward(x, quantum, decay if isinstance(decay, Tensor) else None)
        return call.forward()[0]

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]  # torch leaves it without types
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, quantum, decay = ctx.saved_tensors
        call = _Call(x.detach(), quantum, ctx.number if decay is None else decay, ctx.rule)
        _, by_quantum, by_decay, _ = ctx.needs_input_grad
        out, sums = call.backward(grad, by_quantum or by_decay)
        one_hot, straight = (isinstance(ctx.rule, kind) for kind in (OneHotRule, StraightRule))
        g_quantum = g_decay = None
        if by_quantum and not straight:
            rest = -sums[1] if one_hot else sums[1]
            g_quantum = call.gathered(rest - sums[0] / call.parameters[2], quantum)
        if by_decay and (one_hot or straight):
            g_decay = call.gathered(sums[2], decay)
        return out, g_quantum, g_decay, None


@lru_cache(maxsize=256)
def _terms(surrogate: Any, rises: Any, device: torch.device) -> tuple[int, Tensor]:
    """The kind of the surrogate, and its terms (K, 3) for a quantum of 1."""
    kind, height, width = kind_of(surrogate)
    terms = np.array(rises) * (height, 1.0 / width, 1.0 / width)
    return kind, torch.from_numpy(terms).to(device)
