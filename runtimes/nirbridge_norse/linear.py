"""Every other stateless node as a function of [N, *in], its parameters cast once.

All sums of products are plain sums: what is exact in the dtype (integers, dyadic numbers) comes out exact.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.ir import Aggregate, Place, Product, Quantize, SparseMatrix
from nirbridge.machine_code import numba_is_there
from nirbridge.runtime import PlannedNode
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage, Stateless, Written


def scale(planned: PlannedNode, setting: Setting) -> Stage:
    """y = scale x."""
    factor = setting.tensor(planned.node.scale)
    return Stateless(lambda x: factor * x, factor=factor)


def threshold(planned: PlannedNode, setting: Setting) -> Stage:
    """y = 1 where x > threshold."""
    limit = setting.tensor(planned.node.threshold)
    return Stateless(lambda x: (x > limit).to(x.dtype))


FEW_PRODUCTS = 2**16
"""Multiplications a frame up to which a compiled loop over the inputs that are not 0 beats a library's call."""


def matrix(planned: PlannedNode, setting: Setting) -> Stage:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i], plus the bias of an Affine."""
    node = planned.node
    weight = setting.tensor(node.weight)
    bias = setting.tensor(node.bias) if hasattr(node, "bias") else None
    if weight.ndim > 2:
        return Stateless(_matrices(weight, bias))
    if bias is not None and bias.ndim > 1:
        return Stateless(lambda x: functional.linear(x, weight) + bias)
    row = weight.new_zeros(len(weight)) if bias is None else bias.expand(len(weight)).contiguous()
    if setting.device.type == "cpu" and runs_directly(planned):
        return _direct(planned, weight.T.contiguous(), row)
    return Stateless(lambda x: functional.linear(x, weight, row))


def runs_directly(planned: PlannedNode) -> bool:
    """Whether the compiled loop takes a matrix."""
    return numba_is_there() and planned.node.weight.size <= FEW_PRODUCTS


def _direct(planned: PlannedNode, weight: Tensor, bias: Tensor) -> Stage:
    columns, row = weight.numpy(), bias.numpy()

    def bound(x: Any, y: Any) -> Any:
        from nirbridge_norse.fused import synapses  # and so numba, with the first run

        return partial(synapses.matrix, x.reshape(-1, len(columns)), y.reshape(-1, len(row)), columns, row)

    return Written(bound, Order(planned.input_shape), Order(planned.output_shape), weight.dtype)


def _matrices(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """One matrix for each place of the leading axes: the samples of a place go through its matrix together."""
    outer = weight.shape[:-2]
    transposed = weight.flatten(0, -3).transpose(1, 2).contiguous()

    def function(x: Tensor) -> Tensor:
        y = torch.bmm(x.flatten(1, -2).transpose(0, 1), transposed).transpose(0, 1)
        y = y.reshape(len(x), *outer, -1)
        return y if bias is None else y + bias

    return function


def aggregate(planned: PlannedNode, setting: Setting) -> Stage:
    """y[n, ...] = Σ_m weight[n, m] x[m, ...]; a sparse weight stays sparse."""
    node: Aggregate = planned.node
    if not isinstance(node.weight, SparseMatrix):
        weight = setting.tensor(node.weight)
        return Stateless(lambda x: torch.matmul(weight, x.flatten(2) if x.ndim > 2 else x[..., None]).reshape(x.shape))
    stored = node.weight
    places = torch.tensor([stored.row.tolist(), stored.column.tolist()], dtype=torch.int64, device=setting.device)
    values = setting.tensor(stored.value)
    sparse = torch.sparse_coo_tensor(places, values, stored.shape, check_invariants=True).coalesce()

    def function(x: Tensor) -> Tensor:
        y = torch.sparse.mm(sparse, x.transpose(0, 1).reshape(x.shape[1], -1))
        return y.reshape(x.shape[1], len(x), *x.shape[2:]).transpose(0, 1).contiguous()

    return Stateless(function)


def quantize(planned: PlannedNode, setting: Setting) -> Stage:
    """y = clip(round half to even(x / step), low, high)."""
    node: Quantize = planned.node
    step, low, high = (setting.tensor(value) for value in (node.step, node.low, node.high))
    return Stateless(lambda x: (x / step).round_().clamp_(low, high))


def place(planned: PlannedNode, setting: Setting) -> Stage:
    """y[start:stop] = x, repeated along axes in which it has 1; 0 elsewhere."""
    node: Place = planned.node

    def function(x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), *node.output_shape)
        y[:, node.start : node.stop] = x
        return y

    return Stateless(function)


def product(planned: PlannedNode, setting: Setting) -> Stage:
    """The slots of axis 0 multiplied element by element, from the first on."""
    node: Product = planned.node

    def function(x: Tensor) -> Tensor:
        first, second, *others = x.chunk(node.factors, 1)
        y = first * second
        for slot in others:
            y *= slot
        return y

    return Stateless(function)
