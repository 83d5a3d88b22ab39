"""How many synapses a layer has, and how many of them an event meets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import nir
import numpy as np

from nirbridge.ir import Aggregate, SparseMatrix
from nirbridge.ir.shapes import pairs
from nirbridge.runtime import PlannedNode


@dataclass(frozen=True)
class Synapses:
    """One layer of synapses; all numbers are for one sample.

    Attributes:
        macs: multiply-accumulates of one dense evaluation.
        inputs: values that enter.
        outputs: values that leave.
        fan_out: weights that one event reads, and potentials that it reads and writes.
        fan_out_adds: additions that one event causes.
        weights: words of the weight memory.
        bias: words of the bias memory, 0 where there is no bias; a bias of zeros is none.
        input_reads: reads of inputs in one dense evaluation.
    """

    macs: int
    inputs: int
    outputs: int
    fan_out: float
    fan_out_adds: float
    weights: int
    bias: int
    input_reads: int


def _bias_words(node: Any) -> int:
    bias = np.asarray(getattr(node, "bias", 0.0))
    return int(bias.size) if bias.any() else 0


def _conv(planned: PlannedNode) -> Synapses:
    """C_in/groups · C_out · k² · H_o · W_o; an event meets C_out/groups · k² weights, ⌈k/s⌉² of which overlap it."""
    node = planned.node
    kernel = node.weight.shape[2:]
    stride = pairs(node.stride, len(kernel))
    channels = node.weight.shape[0] // int(node.groups)
    macs = prod(planned.output_shape) * prod(node.weight.shape[1:])
    return Synapses(
        macs=macs,
        inputs=prod(planned.input_shape),
        outputs=prod(planned.output_shape),
        fan_out=channels * prod(kernel),
        fan_out_adds=channels * prod(-(-k // s) for k, s in zip(kernel, stride, strict=True)),
        weights=prod(node.weight.shape),
        bias=_bias_words(node),
        input_reads=macs,
    )


def _matrix(planned: PlannedNode) -> Synapses:
    """N_in · N_out, for each position of the axes before the last."""
    node = planned.node
    rows, columns = node.weight.shape[-2:]
    return Synapses(
        macs=prod(planned.output_shape) * columns,
        inputs=prod(planned.input_shape),
        outputs=prod(planned.output_shape),
        fan_out=rows,
        fan_out_adds=rows,
        weights=prod(node.weight.shape),
        bias=_bias_words(node),
        input_reads=prod(planned.input_shape),
    )


def _aggregate(planned: PlannedNode) -> Synapses:
    """One MAC for each edge of the graph and each feature; an event meets the mean degree of a node."""
    weight = planned.node.weight
    values = weight.value if isinstance(weight, SparseMatrix) else weight
    edges = int(np.count_nonzero(values))
    nodes = int(weight.shape[0])
    features = prod(planned.input_shape[1:])
    return Synapses(
        macs=edges * features,
        inputs=prod(planned.input_shape),
        outputs=prod(planned.output_shape),
        fan_out=edges / nodes,
        fan_out_adds=edges / nodes,
        weights=edges,
        bias=0,
        input_reads=edges * features,
    )


_RULES: dict[type[nir.NIRNode], Callable[[PlannedNode], Synapses]] = {
    nir.Affine: _matrix,
    nir.Linear: _matrix,
    nir.Conv1d: _conv,
    nir.Conv2d: _conv,
    Aggregate: _aggregate,
}


def synapses_of(planned: PlannedNode) -> Synapses:
    """The synapses of a node whose role is SYNAPSES."""
    return _RULES[type(planned.node)](planned)
