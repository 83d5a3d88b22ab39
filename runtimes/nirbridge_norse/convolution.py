"""Convolutions, in whichever of three ways is fastest; channels lie last in memory on the CPU.

Small ones and those of few channels run frame by frame in a compiled loop (:mod:`nirbridge_norse.fused.synapses`): a
library's call alone takes longer than they do, and of spikes most are 0.  Others take oneDNN's kernels, with weights in
the blocks that these want.  On CUDA a convolution that must be exact is a product of matrices: cuDNN may choose
Winograd's or Fourier's way, and both round.
"""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any, NamedTuple

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.machine_code import numba_is_there
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import pairs
from nirbridge.runtime import PlannedNode
from nirbridge_norse.fused.layout import Order
from nirbridge_norse.placing import placed
from nirbridge_norse.setting import Setting
from nirbridge_norse.stages import Stage, Stateless, Written

FEW_PRODUCTS = 2**20
"""Multiplications a frame up to which the compiled loop is taken: a library's call of one frame costs as much."""


class Geometry(NamedTuple):
    """What a convolution does besides its weights.

    Attributes:
        stride, padding, dilation: one number an axis; padding is that of both sides.
        groups: of channels.
        uneven: zeros to add before, in the order of torch's ``pad``, where two sides differ; then ``padding`` is 0.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    uneven: list[int] | None

    def padded(self, x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """``x`` with what is uneven, perhaps in another dtype."""
        return placed(x, self.uneven or (), dtype)

    def padded_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape [C, H, W] of an input with it."""
        left, right, top, bottom = self.uneven or (0, 0, 0, 0)
        return shape[0], shape[1] + top + bottom, shape[2] + left + right


def geometry_of(node: nir.Conv1d | nir.Conv2d) -> Geometry:
    """That of a node."""
    axes = node.weight.ndim - 2
    sides = conv_padding(node)
    even = all(before == after for before, after in sides)
    return Geometry(
        pairs(node.stride, axes),
        tuple(before for before, _ in sides) if even else (0,) * axes,
        pairs(node.dilation, axes),
        int(node.groups),
        None if even else [n for pair in reversed(sides) for n in pair],
    )


def convolution(planned: PlannedNode, setting: Setting) -> Stage:
    """y[o, p] = b[o] + Σ_{c, k} weight[o, c, k] x[c, p·stride + k·dilation - padding], group by group."""
    node: nir.Conv1d | nir.Conv2d = planned.node
    if (sides := moves_only(planned)) is not None:
        return Stateless(lambda x: placed(x, sides), reads_bytes=True, hands_bytes=True)
    weight, geometry = setting.tensor(node.weight), geometry_of(node)
    bias = setting.tensor(node.bias).expand(len(weight)).contiguous()
    if setting.device.type == "cuda" and setting.exact:
        return Stateless(as_product(weight, bias, geometry))
    if setting.device.type == "cpu" and runs_directly(planned, setting.sparse):
        return _direct(planned, weight, bias)
    if setting.device.type == "cpu" and setting.dtype is torch.float32 and suits_blocks(planned):
        return Stateless(_packed(planned, weight, bias, geometry), reads_bytes=True)
    conv = functional.conv1d if weight.ndim == 3 else functional.conv2d

    def run(x: Tensor) -> Tensor:
        return conv(geometry.padded(x, weight.dtype).contiguous(), weight, bias, *geometry[:4])

    return Stateless(run, reads_bytes=True)


def moves_only(planned: PlannedNode) -> list[int] | None:
    """How many places of 0 a convolution of one weight of 1 for each channel adds on each side, or takes off.

    In the order of torch's ``pad``; None for one that computes something.  Other frameworks pad in layers of their own,
    which ``convert`` writes as such convolutions.
    """
    node = planned.node
    weight, axes = node.weight, node.weight.ndim - 2
    alone = weight.shape[1] == 1 and len(weight) == int(node.groups) and not np.any(node.bias)
    if not alone or pairs(node.stride, axes) != (1,) * axes:
        return None
    places = np.argwhere(weight[0, 0])
    if len(places) != 1 or weight[(0, 0, *places[0])] != 1 or (weight != weight[:1]).any():
        return None
    sides = []
    spans = zip(places[0], weight.shape[2:], pairs(node.dilation, axes), conv_padding(node), strict=True)
    for place, size, dilation, (before, after) in spans:
        sides.append((before - int(place) * dilation, after - (size - 1 - int(place)) * dilation))
    return [n for pair in reversed(sides) for n in pair]


def suits_blocks(planned: PlannedNode) -> bool:
    """Whether oneDNN may have a convolution in its blocks, channels last.

    Seen with oneDNN 3.x: outputs of one column with a stride give wrong sums, in bytes and in single precision, and
    dilated kernels with a stride end the process.
    """
    node = planned.node
    return (
        node.weight.ndim == 4
        and torch.backends.mkldnn.is_available()
        and pairs(node.dilation, 2) == (1, 1)
        and min(planned.output_shape[1:]) > 1
    )


def products(planned: PlannedNode) -> int:
    """Multiplications a frame."""
    weight = planned.node.weight
    return int(prod(weight.shape[1:]) * prod(planned.output_shape))


def runs_directly(planned: PlannedNode, sparse: bool = False) -> bool:
    """Whether the compiled loop takes a convolution; ``sparse`` says that nearly all inputs are 0."""
    node = planned.node
    simple = node.weight.ndim == 4 and int(node.groups) == 1 and pairs(node.dilation, 2) == (1, 1)
    return simple and numba_is_there() and (sparse or products(planned) <= FEW_PRODUCTS)


def _direct(planned: PlannedNode, weight: Tensor, bias: Tensor) -> Stage:
    node = planned.node
    stride, (sides_y, sides_x) = pairs(node.stride, 2), conv_padding(node)
    (_, height, width), (channels, p, q) = planned.input_shape, planned.output_shape
    down, rows = _reached(height, p, weight.shape[2], stride[0], sides_y[0])
    along, columns = _reached(width, q, weight.shape[3], stride[1], sides_x[0])
    kernel = weight.numpy()[:, :, down][:, :, :, along].transpose(2, 1, 3, 0)
    kernel = np.ascontiguousarray(kernel.reshape(len(down), weight.shape[1], -1))
    row = np.tile(bias.numpy(), q)

    columns = columns * channels

    def bound(x: Any, y: Any) -> Any:
        from nirbridge_norse.fused import synapses  # and so numba, with the first run

        return partial(synapses.convolution, x, y.reshape(len(y), p, q * channels), kernel, row, rows, columns)

    return Written(bound, Order(planned.input_shape, True), Order(planned.output_shape, True), weight.dtype)


def _reached(size: int, sent: int, kernel: int, stride: int, padding: int) -> tuple[list[int], Any]:
    """Along one axis: the taps in the order of the outputs that an input reaches through them, those of the same
    remainder together; and for each input (first output, how many, place of its tap)."""
    order: list[int] = []
    begins = []
    for remainder in range(stride):
        begins.append(len(order))
        order += reversed(range(remainder, kernel, stride))
    table = np.zeros((size, 3), np.int64)
    for place in range(size):
        last, remainder = divmod(place + padding, stride)
        before = last - len(range(remainder, kernel, stride)) + 1
        first, count = max(before, 0), min(last + 1, sent) - max(before, 0)
        if count > 0:
            table[place] = first, count, begins[remainder] + first - before
    return order, table


def _packed(planned: PlannedNode, weight: Tensor, bias: Tensor, geometry: Geometry) -> Any:
    """oneDNN's convolution with its weights in blocks, which takes them apart at every call else."""
    stride, padding, dilation = (list(axis) for axis in geometry[:3])
    shape = [1, *geometry.padded_shape(planned.input_shape)]
    blocks = torch._C._nn.mkldnn_reorder_conv2d_weight(
        weight.to_mkldnn(), padding, stride, dilation, geometry.groups, shape
    )
    call = torch.ops.mkldnn._convolution_pointwise.default

    def run(x: Tensor) -> Tensor:
        x = geometry.padded(x, weight.dtype).contiguous(memory_format=torch.channels_last)
        y: Tensor = call(x, blocks, bias, padding, stride, dilation, geometry.groups, "none", [], "")
        return y

    return run


def as_product(weight: Tensor, bias: Tensor, geometry: Geometry) -> Any:
    """The convolution as one product of matrices."""
    stride, padding, dilation, groups, _ = geometry
    flat = len(stride) == 1
    kernel = tuple(weight.shape[2:])
    if flat:
        kernel, stride, padding, dilation = (1, *kernel), (1, *stride), (0, *padding), (1, *dilation)
    rows = weight.reshape(groups, len(weight) // groups, -1)

    def run(x: Tensor) -> Tensor:
        x = geometry.padded(x)
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
