"""Synapses of whole numbers on bytes: messages of 8 bits, weights of 8 bits with a sign, sums of 32 bits.

oneDNN adds such products four times as fast as those of single precision, or faster.  Its float32 results are the sums
themselves, as long as these stay below 2^24.
"""

from __future__ import annotations

from functools import cache, lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nirbridge.ir import spec_of
from nirbridge.primitives.magnitudes import magnitude, row_sum
from nirbridge.primitives.shaping import pairs
from nirbridge.runtime import Plan, PlannedNode
from nirbridge.runtime.integer_bounds import SINGLE, grown
from nirbridge_norse import convolution, linear

BYTE, SIGNED = 255, 127
FRAMES_AT_ONCE = 6
"""Numbers of frames for which weights are kept in oneDNN's blocks: a step, a block of steps and the last block, each
for two numbers of samples on threads.  Other blocks than it wants are sorted anew at every call."""


@cache
def largest_message() -> int:
    """Up to which messages the sums are exact here; 0 where there is no such operation.

    Processors without VNNI add two products of 8 bits in 16, which 129·127·2 just does not leave.
    """
    try:
        for largest in (BYTE, 129):
            signs = torch.ones(16, 64, 3, 3) - 2 * (torch.arange(16).reshape(-1, 1, 1, 1) % 2)
            convolve = _prepared(
                (signs * SIGNED).to(torch.int8), torch.zeros(16), (1, 1), (1, 1), (1, 1), 1, (64, 5, 5)
            )
            x = torch.full((2, 64, 5, 5), largest, dtype=torch.uint8)
            if torch.equal(convolve(x), functional.conv2d(x.float(), signs * SIGNED, None, 1, 1)):
                return largest
    except (AttributeError, RuntimeError):
        pass
    return 0


def integer_synapse(planned: PlannedNode) -> Any:
    """The function of [N, *in] bytes for a convolution or a matrix whose weights are within ±127."""
    node = planned.node
    weight = torch.from_numpy(np.asarray(node.weight).astype(np.int8))
    bias = torch.tensor(np.broadcast_to(getattr(node, "bias", 0.0), len(weight)).copy(), dtype=torch.float32)
    if weight.ndim == 2:
        convolve = _prepared(weight[:, :, None, None], bias, (1, 1), (0, 0), (1, 1), 1, (weight.shape[1], 1, 1))
        return lambda x: convolve(x.reshape(-1, x.shape[-1], 1, 1)).reshape(*x.shape[:-1], -1)
    geometry = convolution.geometry_of(node)
    convolve = _prepared(weight, bias, *geometry[:4], geometry.padded_shape(planned.input_shape))
    return convolve if geometry.uneven is None else lambda x: convolve(geometry.padded(x))


HALF = 2**15
"""Magnitudes below it are two bytes."""


def wide_convolution(planned: PlannedNode, narrow: Any, wide: Any) -> Any:
    """The function of [N, *in] for a convolution whose sums may leave single precision.

    Data in double precision leave in it; those in single where no sum of theirs leaves that, too.

    What enters is 256 a + b - 2^15 with bytes a and b, and the sums of these do not leave it.  Where it is larger, or
    padded, which would be no 0 then, ``narrow`` takes data so small that no sum leaves it, and ``wide`` the rest.
    """
    node = planned.node
    rows = row_sum(node.weight, tuple(range(1, node.weight.ndim)))
    bias = np.broadcast_to(node.bias, len(node.weight)).astype(np.float64)
    halves = _in_halves(planned, rows, bias)

    def function(x: Tensor) -> Tensor:
        low, high = x.aminmax()
        largest = max(-float(low), float(high))
        found: Tensor
        if halves is not None and largest < HALF:
            found = halves(x)
        elif largest * rows + np.abs(bias).max() < SINGLE:
            found = narrow(x.float())
        else:
            found = wide(x.double())
        return found.double() if x.dtype is torch.float64 else found

    return function


def _in_halves(planned: PlannedNode, rows: float, bias: Any) -> Any:
    geometry, node = convolution.geometry_of(planned.node), planned.node
    if any(geometry.padding) or geometry.uneven is not None or rows * BYTE >= SINGLE:
        return None
    if largest_message() < BYTE or not _is_worth_it(planned):
        return None
    weight = torch.from_numpy(np.asarray(node.weight).astype(np.int8))
    convolve = _prepared(weight, torch.zeros(len(weight)), *geometry[:4], planned.input_shape)
    offset = weight.double().sum((1, 2, 3)).numpy() * -HALF + bias

    def function(x: Tensor) -> Tensor:
        from nirbridge_norse.fused import frames  # and so numba, with the first run

        x = x.contiguous(memory_format=torch.channels_last)
        halves = torch.empty((2, *x.movedim(1, -1).shape), dtype=torch.uint8)
        frames.halve(x.movedim(1, -1).numpy().reshape(-1), halves.numpy().reshape(2, -1), HALF)
        sums = convolve(halves.flatten(0, 1).movedim(-1, 1)).movedim(1, -1)
        y = torch.empty((len(x), *sums.shape[1:]), dtype=torch.float64)
        frames.join(sums.numpy().reshape(2, -1, len(weight)), y.numpy().reshape(-1, len(weight)), offset)
        return y.movedim(-1, 1)

    return function


def _prepared(
    weight: Tensor,
    bias: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    shape: tuple[int, ...],
) -> Any:
    where = [list(stride), list(padding), list(dilation), groups]
    ones, zeros = torch.ones(len(weight)), torch.zeros(len(weight), dtype=torch.int64)
    call = torch.ops.onednn.qconv2d_pointwise.default
    kept: dict[bytes, Tensor] = {}

    @lru_cache(maxsize=FRAMES_AT_ONCE)
    def packed(frames: int) -> Tensor:
        found: Tensor = torch.ops.onednn.qconv_prepack(weight, ones, 1.0, 0, *where, [frames, *shape])
        blocks = _blocks_of(found)
        return found if blocks is None else kept.setdefault(blocks, found)

    def convolve(x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        y: Tensor = call(x, 1.0, 0, packed(len(x)), ones, zeros, bias, *where, 1.0, 0, torch.float32, "none", [], "")
        return y

    packed(1)
    return convolve


def _blocks_of(packed: Tensor) -> bytes | None:
    """How oneDNN has sorted weights, which is often the same for many numbers of frames; None where torch tells not."""
    describe = getattr(torch.ops.mkldnn, "_get_mkldnn_serialized_md", None)
    return describe and describe(packed).numpy().tobytes()


class Bytes(NamedTuple):
    """What of a plan runs on bytes.

    Attributes:
        senders: neurons that send bytes.
        synapses: that read them as they are; other nodes behind a sender hand bytes on.
    """

    senders: frozenset[str]
    synapses: frozenset[str]


def find_bytes(plan: Plan) -> Bytes:
    """A neuron sends bytes where all that they reach, through views, delays and pools, takes them."""
    largest: dict[str, int] = {}
    for planned in plan.nodes:
        if planned.loop is None and (found := _largest(planned, largest)) is not None:
            largest[planned.name] = found
    taken: set[str] = set()
    for name in reversed(plan.names):
        if name in largest and all(_takes(reader, largest[name], taken) for reader in plan.readers[name]):
            taken.add(name)
    carrying: set[str] = set()
    for planned in plan.nodes:
        handed = _hands(planned) and planned.sources[:1]
        if planned.name in taken and (not handed or planned.sources[0].name in carrying):
            carrying.add(planned.name)
    synapses = {
        reader.name
        for name in carrying
        for reader in plan.readers[name]
        if _adds(reader) and largest[name] <= largest_message() and _is_worth_it(reader)
    }
    senders = {name for name in carrying if spec_of(plan[name].node).is_neuron}
    return Bytes(frozenset(senders), frozenset(synapses)) if synapses else Bytes(frozenset(), frozenset())


_HANDING = ("identity", "flatten", "delay", "max pool", "sum pool", "mean pool", "first spike pool")
_ADDING = ("convolution", "matrix")
_SPIKING = ("step", "lanes", "window")


def _moves(planned: PlannedNode) -> bool:
    return spec_of(planned.node).operation == "convolution" and convolution.moves_only(planned) is not None


def _hands(planned: PlannedNode) -> bool:
    return spec_of(planned.node).operation in _HANDING or _moves(planned)


def _adds(planned: PlannedNode) -> bool:
    return spec_of(planned.node).operation in _ADDING and not _moves(planned)


def _largest(planned: PlannedNode, largest: dict[str, int]) -> int | None:
    """The largest byte that a node can send; None where it may send something else."""
    spec = spec_of(planned.node)
    if spec.is_neuron:
        if spec.operation not in _SPIKING or not spec.sends.spikes:
            return None
        values = np.ones(1) if spec.sends.values is None else np.asarray(spec.sends.values(planned.node))
        return int(values.max()) if values.min() >= 0 and values.max() <= BYTE else None
    if not _hands(planned) or len(planned.sources) != 1 or planned.sources[0].name not in largest:
        return None
    entering = largest[planned.sources[0].name]
    if spec.operation in ("sum pool", "mean pool"):
        total = entering * prod(pairs(planned.node.kernel_size, 2))
        return None if total > BYTE else total if spec.operation == "sum pool" else entering
    return entering


def _takes(reader: PlannedNode, largest: int, taken: set[str]) -> bool:
    alone = len(reader.sources) == 1 and reader.loop is None
    return alone and (reader.name in taken or _adds_up(reader, largest))


def _adds_up(planned: PlannedNode, largest: int) -> bool:
    """Whether a node adds bytes up to ``largest``, and single precision holds its sums; or is a neuron."""
    spec = spec_of(planned.node)
    if not _adds(planned):
        return spec.is_neuron and spec.operation in ("step", "lanes")
    return planned.node.weight.ndim in (2, 4) and grown(planned.node, largest) < SINGLE


def _is_worth_it(planned: PlannedNode) -> bool:
    """Whether the weights are small enough for bytes, and the node large enough for the call."""
    node = planned.node
    if node.weight.ndim == 4:
        fits = convolution.suits_blocks(planned) and not convolution.runs_directly(planned)
    else:
        fits = np.ndim(getattr(node, "bias", 0)) <= 1 and not linear.runs_directly(planned)
    return bool(fits and magnitude(node.weight) <= SIGNED)
