"""Runs an analog graph in torch: for calibration, for biases, and to check that it is what the module computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial, reduce
from operator import add
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.markers import ChannelAffine, Offset, Relu, operation_of
from nirbridge.ir import Aggregate, MaxPool2d, Place, SparseMatrix
from nirbridge.primitives.convolution import conv_padding
from nirbridge.primitives.shaping import pairs

Function = Callable[[Tensor], Tensor]


def function(node: nir.NIRNode, dtype: torch.dtype) -> Function:
    """What a node does with [B, *shape], its parameters cast once."""
    return (_MARKERS.get(type(node)) or _FUNCTIONS[operation_of(node)])(node, dtype)


def functions(graph: AnalogGraph, dtype: torch.dtype, zero_codes: bool = False) -> dict[str, Function]:
    """A function of [B, *shape] for every node, its parameters cast once.

    Args:
        graph: the network.
        dtype: of parameters and values.
        zero_codes: let every ReLU send 0, which leaves what constants alone bring to each node.
    """
    silent = graph.of_type(Relu) if zero_codes else ()
    return {name: torch.zeros_like if name in silent else function(graph.nodes[name], dtype) for name in graph.order}


def values(graph: AnalogGraph, run: Mapping[str, Function], x: Tensor) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, summed input and output of every node in order; values are freed when nothing needs them any more."""
    kept: dict[str, Tensor] = {}
    for name in graph.order:
        sources = graph.incoming[name]
        total = reduce(add, (kept[source] for source in sources)) if sources else x
        kept[name] = run[name](total)
        yield name, total, kept[name]
        for source in graph.last_read[name]:
            del kept[source]


def _tensor(value: Any, dtype: torch.dtype) -> Tensor:
    return torch.as_tensor(np.asarray(value)).to(dtype)


def _same(node: nir.NIRNode, dtype: torch.dtype) -> Function:
    return lambda x: x


def _matrix(node: nir.Affine | nir.Linear, dtype: torch.dtype) -> Function:
    weight = _tensor(node.weight, dtype)
    bias = _tensor(node.bias, dtype) if hasattr(node, "bias") else torch.zeros((), dtype=dtype)
    return lambda x: functional.linear(x, weight) + bias


def _conv(node: nir.Conv1d | nir.Conv2d, dtype: torch.dtype) -> Function:
    axes = node.weight.ndim - 2
    weight, bias = _tensor(node.weight, dtype), _tensor(node.bias, dtype)
    stride, dilation, groups = pairs(node.stride, axes), pairs(node.dilation, axes), int(node.groups)
    padding = conv_padding(node)
    run = functional.conv1d if axes == 1 else functional.conv2d
    if all(before == after for before, after in padding):
        both = [before for before, _ in padding]
        return lambda x: run(x, weight, bias, stride, both, dilation, groups)
    sides = [n for pair in reversed(padding) for n in pair]
    return lambda x: run(functional.pad(x, sides), weight, bias, stride, 0, dilation, groups)


def _scale(node: nir.Scale, dtype: torch.dtype) -> Function:
    factor = _tensor(node.scale, dtype)
    return lambda x: factor * x


def _sum_pool(node: nir.AvgPool2d | nir.SumPool2d, dtype: torch.dtype, mean: bool = False) -> Function:
    kernel, stride, padding = (pairs(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    sides = (padding[1], padding[1], padding[0], padding[0])
    divisor = kernel[0] * kernel[1] if mean else 1
    return lambda x: functional.avg_pool2d(functional.pad(x, sides), kernel, stride, divisor_override=divisor)


def _max_pool(node: MaxPool2d, dtype: torch.dtype) -> Function:
    kernel, stride, padding = (pairs(v, 2) for v in (node.kernel_size, node.stride, node.padding))
    return lambda x: functional.max_pool2d(x, kernel, stride, padding)


def _flatten(node: nir.Flatten, dtype: torch.dtype) -> Function:
    start, end = int(node.start_dim), int(node.end_dim)
    return lambda x: x.flatten(start + 1 if start >= 0 else start, end + 1 if end >= 0 else end)


def _place(node: Place, dtype: torch.dtype) -> Function:
    def placed(x: Tensor) -> Tensor:
        y = x.new_zeros(len(x), *node.output_shape)
        y[:, node.start : node.stop] = x
        return y

    return placed


def _aggregate(node: Aggregate, dtype: torch.dtype) -> Function:
    if isinstance(node.weight, SparseMatrix):
        places = torch.tensor(np.stack([node.weight.row, node.weight.column]))
        entries = _tensor(node.weight.value, dtype)
        stored = torch.sparse_coo_tensor(places, entries, node.weight.shape, check_invariants=True)

        def sparse(x: Tensor) -> Tensor:
            y = torch.sparse.mm(stored, x.movedim(0, -1).flatten(1))
            return y.reshape(*x.shape[1:], len(x)).movedim(-1, 0)

        return sparse
    weight = _tensor(node.weight, dtype)
    return lambda x: torch.tensordot(weight, x, dims=([1], [1])).movedim(1, 0)


def _relu(node: Relu, dtype: torch.dtype) -> Function:
    gain, shift = _tensor(node.gain, dtype), _tensor(node.shift, dtype)
    return lambda x: (gain * x).add_(shift).clamp_(0, node.ceiling)


def _channel_affine(node: ChannelAffine, dtype: torch.dtype) -> Function:
    scale, shift = _tensor(node.scale, dtype), _tensor(node.shift, dtype)
    return lambda x: scale * x + shift


def _offset(node: Offset, dtype: torch.dtype) -> Function:
    value = _tensor(node.value, dtype)
    return lambda x: x + value


_FUNCTIONS: dict[str, Callable[[Any, torch.dtype], Function]] = {
    "identity": _same,
    "matrix": _matrix,
    "convolution": _conv,
    "scale": _scale,
    "sum pool": _sum_pool,
    "mean pool": partial(_sum_pool, mean=True),
    "max pool": _max_pool,
    "flatten": _flatten,
    "place": _place,
    "aggregate": _aggregate,
}
"""By operation of the primitive."""
_MARKERS: dict[type[nir.NIRNode], Callable[[Any, torch.dtype], Function]] = {
    Relu: _relu,
    ChannelAffine: _channel_affine,
    Offset: _offset,
}
