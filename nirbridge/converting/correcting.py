"""Biases that keep the mean of every channel, layer by layer on what the spikes before it really stand for.

A code that rounds and ends somewhere shifts the mean of what it sends, and the shifts of all layers add up.  The
largest part of that is one number a channel, which a bias takes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import nir
import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.coding import Code
from nirbridge.converting.evaluate import Function, functions
from nirbridge.converting.markers import Array, Relu, operation_of
from nirbridge.converting.observing import behind_convolution, picked

_AT_A_TIME = 4
_KEPT = 1024
"""Values of a channel by which its mean is judged."""
_FEWEST = 64
"""Values of a channel below which its mean says nothing of other data."""
_ROUNDS = 4
_LEAST_SLOPE = 0.1
_MEMORY = 2**30
"""Bytes of values that are held at a time."""


def corrected(
    graph: AnalogGraph,
    code: Code,
    scales: Mapping[str, Array],
    analog: Tensor,
    coded: Tensor,
    progress: Callable[[str], None],
) -> AnalogGraph:
    r"""The graph with offsets in its ReLUs, such that decoded and analog means agree in every channel.

    .. math::
        \delta_c: \quad \overline{\lambda_c \, \hat a((u_c + \delta_c)/\lambda_c)} = \overline{a_c}

    u is what the ReLU gets from the decoded spikes before it, a what it sends in the analog network; Newton's steps,
    since the mean of many values is smooth where the code is not.  Pooled features stay as they are: an average over
    places has little error of its own, and few values a channel.

    Args:
        graph: the arranged network.
        code: of its spikes.
        scales: λ of every ReLU.
        analog: calibration data [N, *shape] as the network takes them.
        coded: the same as the code of the input carries them.
        progress: is told what is being done.
    """
    sides = _Side(graph, analog), _Side(graph, coded)
    dice = torch.Generator().manual_seed(0)
    shifted: dict[str, nir.NIRNode] = {}
    with torch.no_grad():
        for number, name in enumerate(graph.order):
            node = graph.nodes[name]
            if type(node) is not Relu:
                for side in sides:
                    side.advance(name, side.run[name])
                continue
            if not number % 10:
                progress(f"biases: node {number} of {len(graph.order)}")
            coding = _coding(code, scales[name], analog.dtype)
            sides[0].advance(name, sides[0].run[name])
            spare = replace(node, ceiling=np.inf)
            delta = np.zeros(())
            if not _pooled(graph, name):
                delta = _offset(graph, name, sides, spare, coding, dice)
            shifted[name] = replace(node, shift=node.shift + delta)
            before = functions(graph.changed({name: replace(spare, shift=node.shift + delta)}), analog.dtype, only=name)
            sides[1].advance(name, lambda x: coding(before[name](x)))
    return graph.changed(shifted)


def fitting(graph: AnalogGraph, samples: int) -> int:
    """How many of ``samples`` are held at a time within the memory that is allowed."""
    sizes = {name: 8 * int(np.prod(graph.shapes[name])) for name in graph.order}
    left = {name: len(users) for name, users in graph.consumers.items()}
    live = most = 0
    for name in graph.order:
        live += sizes[name]
        most = max(most, live)
        for source in graph.incoming[name]:
            left[source] -= 1
            live -= sizes[source] if not left[source] else 0
    return max(1, min(samples, _MEMORY // max(most, 1)))


class _Side:
    """Values of one of the two networks, of all samples, as long as something needs them."""

    def __init__(self, graph: AnalogGraph, data: Tensor) -> None:
        self.graph = graph
        self.data = data
        self.run = functions(graph, data.dtype)
        self.kept: dict[str, Tensor] = {}
        self.left = {name: len(users) for name, users in graph.consumers.items()}

    def total(self, name: str, part: slice) -> Tensor:
        """What enters a node."""
        sources = self.graph.incoming[name]
        if not sources:
            return self.data[part]
        total = self.kept[sources[0]][part]
        for source in sources[1:]:
            total = total + self.kept[source][part]
        return total

    def advance(self, name: str, function: Function) -> None:
        """Keeps what leaves a node and forgets what nothing else needs."""
        count = len(self.data)
        made: Tensor | None = None
        for start in range(0, count, _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            y = function(self.total(name, part))
            if made is None:
                made = torch.empty((count, *y.shape[1:]), dtype=y.dtype)
            made[part] = y
        assert made is not None
        self.kept[name] = made
        for source in self.graph.incoming[name]:
            self.left[source] -= 1
            if not self.left[source]:
                del self.kept[source]


def _coding(code: Code, scale: Array, dtype: torch.dtype) -> Function:
    unit = torch.as_tensor(scale).to(dtype)
    return lambda x: code(x / unit) * unit


def _pooled(graph: AnalogGraph, name: str) -> bool:
    """Whether all that a ReLU gets was averaged over places."""
    return all(operation_of(graph.nodes[source]) in ("mean pool", "sum pool") for source in graph.incoming[name])


def _offset(
    graph: AnalogGraph, name: str, sides: tuple[_Side, _Side], node: Relu, coding: Function, dice: torch.Generator
) -> Array:
    """δ of every channel; 0 where too few values are known."""
    axis = 0 if behind_convolution(graph, name) else len(graph.shapes[name]) - 1
    analog, coded = sides
    count = len(analog.data)
    gain, shift = (torch.as_tensor(value).to(analog.data.dtype) for value in (node.gain, node.shift))
    each = -(-_KEPT // count)
    rows: list[Tensor] = []
    for number in range(count):
        part = slice(number, number + 1)
        pair = analog.kept[name][part], gain * coded.total(name, part) + shift
        both = torch.stack([value.movedim(axis + 1, 0).flatten(1) for value in pair])
        rows.append(picked(both.flatten(0, 1), each, dice))
    expected, found = torch.stack(rows, 1).unflatten(0, (2, -1)).flatten(2)  # [C, samples, values] as rows
    if expected.shape[1] < _FEWEST:
        return np.zeros(())
    broad = [1] * len(graph.shapes[name])
    broad[axis] = -1

    def sent(delta: Tensor) -> Tensor:
        moved = (found + delta[:, None]).T.reshape(-1, *[len(found) if n == -1 else 1 for n in broad])
        return coding(moved).reshape(-1, len(found)).T

    delta = torch.zeros(len(found), dtype=found.dtype)
    trust = None
    for _ in range(_ROUNDS):
        y = sent(delta)
        missing = (expected - y).unflatten(1, (count, -1)).mean(2)
        if trust is None:
            trust = _trust(missing)
        delta += missing.mean(1) / (y > 0).to(y.dtype).mean(1).clamp(min=_LEAST_SLOPE)
    return (delta * trust).double().numpy().reshape(broad)


def _trust(missing: Tensor) -> Tensor:
    mean, count = missing.mean(1), missing.shape[1]
    if count < 2:
        return torch.ones_like(mean)
    noise = missing.var(1) / count
    return (1 - noise / (mean**2).clamp(min=1e-30)).clamp(min=0)
