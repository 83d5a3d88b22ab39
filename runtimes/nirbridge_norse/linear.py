"""Every stateless node as a function of [N, *in], its parameters cast once.

All sums of products are plain sums: what is exact in the dtype (integers, dyadic numbers) comes out exact.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import nir
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.ir import Aggregate, Place, Product, Quantize, SparseMatrix
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import pairs
from nirbridge.runtime import PlannedNode
from nirbridge_norse.setting import Setting

Function = Callable[[Tensor], Tensor]


def identity(planned: PlannedNode, setting: Setting) -> Function:
    """y = x."""
    return lambda x: x


def flatten(planned: PlannedNode, setting: Setting) -> Function:
    """Merges the dimensions start_dim..end_dim, counted without time and batch."""
    shape = planned.output_shape
    return lambda x: x.reshape(len(x), *shape)


def scale(planned: PlannedNode, setting: Setting) -> Function:
    """y = scale x."""
    factor = setting.tensor(planned.node.scale)
    return lambda x: factor * x


def threshold(planned: PlannedNode, setting: Setting) -> Function:
    """y = 1 where x > threshold."""
    limit = setting.tensor(planned.node.threshold)
    return lambda x: (x > limit).to(x.dtype)


def matrix(planned: PlannedNode, setting: Setting) -> Function:
    """y[..., o] = Σ_i weight[..., o, i] x[..., i], plus the bias of an Affine."""
    node = planned.node
    weight = setting.tensor(node.weight)
    bias = setting.tensor(node.bias) if hasattr(node, "bias") else None
    if weight.ndim > 2:
        return _matrices(weight, bias)
    if bias is None or bias.ndim <= 1:
        row = None if bias is None else bias.expand(len(weight)).contiguous()
        return lambda x: functional.linear(x, weight, row)
    return lambda x: functional.linear(x, weight) + bias


def _matrices(weight: Tensor, bias: Tensor | None) -> Function:
    """One matrix for each place of the leading axes: the samples of a place go through its matrix together."""
    outer = weight.shape[:-2]
    transposed = weight.flatten(0, -3).transpose(1, 2).contiguous()

    def function(x: Tensor) -> Tensor:
        y = torch.bmm(x.flatten(1, -2).transpose(0, 1), transposed).transpose(0, 1)
        y = y.reshape(len(x), *outer, -1)
        return y if bias is None else y + bias

    return function


def aggregate(planned: PlannedNode, setting: Setting) -> Function:
    """y[n, ...] = Σ_m weight[n, m] x[m, ...]; a sparse weight stays sparse."""
    node: Aggregate = planned.node
    if not isinstance(node.weight, SparseMatrix):
        weight = setting.tensor(node.weight)
        return lambda x: torch.matmul(weight, x.flatten(2) if x.ndim > 2 else x[..., None]).reshape(x.shape)
    stored = node.weight
    places = torch.tensor([stored.row.tolist(), stored.column.tolist()], dtype=torch.int64, device=setting.device)
    values = setting.tensor(stored.value)
    sparse = torch.sparse_coo_tensor(places, values, stored.shape, check_invariants=True).coalesce()

    def function(x: Tensor) -> Tensor:
        y = torch.sparse.mm(sparse, x.transpose(0, 1).reshape(x.shape[1], -1))
        return y.reshape(x.shape[1], len(x), *x.shape[2:]).transpose(0, 1).contiguous()

    return function


def convolution(planned: PlannedNode, setting: Setting) -> Function:
    """y[o, p] = b[o] + Σ_{c, k} weight[o, c, k] x[c, p·stride + k·dilation - padding], group by group."""
    node: nir.Conv1d | nir.Conv2d = planned.node
    axes = node.weight.ndim - 2
    weight = setting.tensor(node.weight)
    bias = setting.tensor(node.bias).expand(len(weight)).contiguous()
    stride, dilation, groups = pairs(node.stride, axes), pairs(node.dilation, axes), int(node.groups)
    padding, uneven = _padding(conv_padding(node))
    if setting.device.type == "cuda" and setting.exact:
        run = _as_product(weight, bias, stride, padding, dilation, groups)
    else:
        conv = functional.conv1d if axes == 1 else functional.conv2d

        def run(x: Tensor) -> Tensor:
            return conv(x, weight, bias, stride, padding, dilation, groups)

    return run if uneven is None else lambda x: run(functional.pad(x, uneven))


def _padding(sides: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], list[int] | None]:
    """Padding that torch's convolution adds itself, and what must be added before where two sides differ."""
    if all(before == after for before, after in sides):
        return tuple(before for before, _ in sides), None
    return (0,) * len(sides), [n for pair in reversed(sides) for n in pair]


def _as_product(
    weight: Tensor,
    bias: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Function:
    """The convolution as one product of matrices: cuDNN may choose Winograd's or Fourier's way, and both round."""
    flat = len(stride) == 1
    kernel = tuple(weight.shape[2:])
    if flat:
        kernel, stride, padding, dilation = (1, *kernel), (1, *stride), (0, *padding), (1, *dilation)
    rows = weight.reshape(groups, len(weight) // groups, -1)

    def run(x: Tensor) -> Tensor:
        planes = x.unsqueeze(2) if flat else x
        sizes = [
            (size + 2 * p - d * (k - 1) - 1) // s + 1
            for size, k, s, p, d in zip(planes.shape[2:], kernel, stride, padding, dilation, strict=True)
        ]
        columns = functional.unfold(planes, kernel, dilation, padding, stride)
        columns = columns.reshape(len(x), groups, rows.shape[2], prod(sizes))
        y = torch.matmul(rows, columns).reshape(len(x), len(weight), *sizes) + bias[:, None, None]
        return y.squeeze(2) if flat else y

    return run


def sum_pool(planned: PlannedNode, setting: Setting) -> Function:
    """The sum of each window; padding counts as 0."""
    return _sums_over(planned, 1)


def mean_pool(planned: PlannedNode, setting: Setting) -> Function:
    """The sum of each window over all of its places; padding counts as 0."""
    return _sums_over(planned, prod(pairs(planned.node.kernel_size, 2)))


def _sums_over(planned: PlannedNode, places: int) -> Function:
    kernel, stride, padding = _window(planned.node)
    sides = (padding[1], padding[1], padding[0], padding[0])
    sizes = planned.output_shape[1:]

    def function(x: Tensor) -> Tensor:
        # torch's own padding stops at half of the kernel.
        x = functional.pad(x, sides) if any(sides) else x
        if len(x) < LONG_POOL or prod(kernel) > SMALL_POOL:
            return functional.avg_pool2d(x, kernel, stride, divisor_override=places)
        return sum_of_slices(x, kernel, stride, sizes).div_(places)

    return function


def integer_mean_pool(planned: PlannedNode, setting: Setting) -> Function:
    """The mean of whole numbers, rounded toward zero.

    A quotient of exact whole numbers that is rounded to nearest never reaches the next whole number.
    """
    total_of = sum_pool(planned, setting)
    places = prod(pairs(planned.node.kernel_size, 2))
    return lambda x: total_of(x).div_(places).trunc_()


LONG_POOL, SMALL_POOL = 8, 16
"""From so many frames on, and up to so many places in a window, adding slices is about three times as fast."""


def sum_of_slices(x: Tensor, kernel: tuple[int, ...], stride: tuple[int, ...], sizes: tuple[int, ...]) -> Tensor:
    """The sum of each window, place by place in torch's own order: the same bits."""
    total: Tensor | None = None
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            rows = slice(row, row + (sizes[0] - 1) * stride[0] + 1, stride[0])
            part = x[:, :, rows, column : column + (sizes[1] - 1) * stride[1] + 1 : stride[1]]
            total = part.clone(memory_format=torch.contiguous_format) if total is None else total.add_(part)
    assert total is not None
    return total


def max_pool(planned: PlannedNode, setting: Setting) -> Function:
    """The largest value of each window; padding never wins."""
    kernel, stride, padding = _window(planned.node)
    return lambda x: functional.max_pool2d(x, kernel, stride, padding)


def _window(node: nir.NIRNode) -> tuple[tuple[int, ...], ...]:
    return tuple(pairs(value, 2) for value in (node.kernel_size, node.stride, node.padding))


def quantize(planned: PlannedNode, setting: Setting) -> Function:
    """y = clip(round half to even(x / step), low, high)."""
    node: Quantize = planned.node
    step, low, high = (setting.tensor(value) for value in (node.step, node.low, node.high))
    return lambda x: (x / step).round_().clamp_(low, high)


def place(planned: PlannedNode, setting: Setting) -> Function:
    """y[start:stop] = x, repeated along axes in which it has 1; 0 elsewhere."""
    node: Place = planned.node

    def function(x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), *node.output_shape)
        y[:, node.start : node.stop] = x
        return y

    return function


def product(planned: PlannedNode, setting: Setting) -> Function:
    """The slots of axis 0 multiplied element by element, from the first on."""
    node: Product = planned.node

    def function(x: Tensor) -> Tensor:
        first, second, *others = x.chunk(node.factors, 1)
        y = first * second
        for slot in others:
            y *= slot
        return y

    return function
