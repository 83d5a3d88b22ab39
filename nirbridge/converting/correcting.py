"""Biases that keep the mean of every channel, layer by layer on what the spikes before it really stand for.

Where few phases blur values and many samples are known, weights are fitted to them first (``refitting``).

A code that rounds and ends somewhere shifts the mean of what it sends, and the shifts of all layers add up.  The
largest part of that is one number a channel, which a bias takes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add

import nir
import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.coding import Code
from nirbridge.converting.evaluate import Function, function
from nirbridge.converting.markers import Array, Relu, operation_of
from nirbridge.converting.observing import behind_convolution, picked
from nirbridge.converting.refitting import refits, refitted

_AT_A_TIME = 4
_TOLD = 10
_KEPT = 2048
"""Values of a channel by which its mean is judged."""
_FEWEST = 64
"""Values of a channel below which its mean says nothing of other data."""
_ROUNDS = 3
_LEAST_SLOPE = 0.5
"""The part of active values that a step divides by is at least that: rare values say little of other data."""
_MEMORY = 2**30
"""Bytes of values that are held at a time."""


def corrected(
    graph: AnalogGraph,
    coded: AnalogGraph,
    codes: Mapping[str, Code],
    scales: Mapping[str, Array],
    data: Tensor,
    sent: Tensor,
    fit: bool,
    progress: Callable[[str], None],
) -> AnalogGraph:
    r"""The spiking network with offsets in its ReLUs, such that decoded and analog means agree in every channel.

    .. math::
        \delta_c: \quad \overline{\lambda_c \, \hat a((u_c + \delta_c)/\lambda_c)} = \overline{a_c}

    u is what the ReLU gets from the decoded spikes before it, a what it sends in the analog network; a few steps of
    Newton, since the mean of many values is smooth where the code is not.  Of few samples, δ is partly chance: as much
    of it is kept as two halves of them, in the order of the data, agree on.  Pooled features stay as they are: an
    average over places has little error of its own, and few values a channel.

    Args:
        graph: the arranged network.
        coded: the same with the weights of the spiking one.
        codes: of the spikes of every ReLU.
        scales: λ of every ReLU.
        data: calibration samples [N, *shape] as the network takes them.
        sent: the same as the code of the input carries them.
        fit: whether weights that ``coded`` has from the network itself are fitted first, see ``refitting``.
        progress: is told what is being done.
    """
    dtype = data.dtype
    network, spiking = _Side(graph, data), _Side(coded, sent)
    dice = torch.Generator().manual_seed(0)
    changed: dict[str, nir.NIRNode] = {}
    with torch.no_grad():
        for number, name in enumerate(graph.order):
            network.advance(name, function(graph.nodes[name], dtype))
            node = coded.nodes[name]
            run = function(node, dtype)
            own = node is graph.nodes[name]  # weights that were rounded stay on their grid
            if fit and own and refits(node, len(data)):
                wanted = network.kept[name] + _lacking(graph, name, network, spiking)
                changed[name] = refitted(node, spiking.total(name, slice(None)).numpy(), wanted.numpy())
                run = function(changed[name], dtype)
            if type(node) is Relu:
                coding = _coding(codes[name], scales[name], dtype)
                endless = replace(node, ceiling=np.inf)  # the code ends by itself
                if not _pooled(graph, name):
                    delta = _offset(graph, name, network, spiking, endless, scales[name], coding, dice)
                    changed[name] = replace(node, shift=node.shift + delta)
                    endless = replace(endless, shift=node.shift + delta)
                run = _coded(function(endless, dtype), coding)
            spiking.advance(name, run)
            if not number % _TOLD:
                progress(f"biases: node {number + 1} of {len(graph.order)}")
    return coded.changed(changed)


def _lacking(graph: AnalogGraph, name: str, network: _Side, spiking: _Side) -> Tensor:
    """What the sum that a node adds to lacks so far, as where the values of a shortcut are coded already."""
    lacking = torch.zeros(())
    if len(graph.consumers[name]) == 1:
        for other in graph.incoming[graph.consumers[name][0]]:
            if other in spiking.kept and other != name:
                lacking = lacking + network.kept[other] - spiking.kept[other]
    return lacking


def fitting(graph: AnalogGraph, samples: int) -> int:
    """How many of ``samples`` are held at a time within the memory that is allowed."""
    sizes = {name: 8 * int(np.prod(graph.shapes[name])) for name in graph.order}
    live = most = 0
    for name in graph.order:
        live += sizes[name]
        most = max(most, live)
        live -= sum(sizes[source] for source in graph.last_read[name])
    return max(1, min(samples, _MEMORY // max(most, 1)))


class _Side:
    """Values of one of the two networks, of all samples, as long as something needs them."""

    def __init__(self, graph: AnalogGraph, data: Tensor) -> None:
        self.graph = graph
        self.data = data
        self.kept: dict[str, Tensor] = {}

    def total(self, name: str, part: slice) -> Tensor:
        """What enters a node."""
        sources = self.graph.incoming[name]
        return reduce(add, (self.kept[source][part] for source in sources)) if sources else self.data[part]

    def advance(self, name: str, run: Function) -> None:
        """Keeps what leaves a node and forgets what nothing else needs."""
        count = len(self.data)
        made: Tensor | None = None
        for start in range(0, count, _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            y = run(self.total(name, part))
            if made is None:
                made = torch.empty((count, *y.shape[1:]), dtype=y.dtype)
            made[part] = y
        assert made is not None
        self.kept[name] = made
        for source in self.graph.last_read[name]:
            del self.kept[source]


def _coding(code: Code, scale: Array, dtype: torch.dtype) -> Function:
    unit = torch.as_tensor(scale).to(dtype)
    return lambda x: code(x / unit) * unit


def _coded(run: Function, coding: Function) -> Function:
    return lambda x: coding(run(x))


def _pooled(graph: AnalogGraph, name: str) -> bool:
    """Whether all that a ReLU gets was averaged over places."""
    return all(operation_of(graph.nodes[source]) in ("mean pool", "sum pool") for source in graph.incoming[name])


def _offset(
    graph: AnalogGraph,
    name: str,
    network: _Side,
    spiking: _Side,
    node: Relu,
    scale: Array,
    coding: Function,
    dice: torch.Generator,
) -> Array:
    """δ of every channel, broadcastable to the features; 0 where too few values are known."""
    axes = len(graph.shapes[name])
    axis = 0 if behind_convolution(graph, name) else axes - 1
    gain, shift = (torch.as_tensor(value).to(network.data.dtype) for value in (node.gain, node.shift))
    count = len(network.data)
    rows = []
    for number in range(count):
        part = slice(number, number + 1)
        pair = torch.stack([network.kept[name][part], gain * spiking.total(name, part) + shift])
        rows.append(picked(pair.movedim(axis + 2, 1).flatten(2).flatten(0, 1), -(-_KEPT // count), dice))
    wanted, entering = torch.cat(rows, 1).chunk(2)
    channels, known = wanted.shape
    broad = [channels if place == axis else 1 for place in range(axes)]
    if known < _FEWEST:
        return np.zeros(())
    unit = torch.as_tensor(np.broadcast_to(scale, broad).reshape(-1).copy()).to(wanted.dtype)

    def solved(part: slice) -> Tensor:
        """In units of λ."""
        goal, place, delta = wanted[:, part].mean(1), entering[:, part].T, torch.zeros(channels, dtype=wanted.dtype)
        for _ in range(_ROUNDS):
            sent = coding((place + delta).reshape(-1, *broad)).reshape(-1, channels)
            active = (sent > 0).to(sent.dtype).mean(0)
            delta += (goal - sent.mean(0)) / active.clamp(min=_LEAST_SLOPE)
        return delta / unit

    delta = _believed(solved(slice(None)), solved(slice(known // 2)), solved(slice(known // 2, None)))
    return (delta * unit).double().numpy().reshape(broad)


def _believed(delta: Tensor, first: Tensor, second: Tensor) -> Tensor:
    r"""What of δ of all channels is likely to hold for other data too, by how far two halves of the data agree on it.

    .. math::
        \delta_c \frac{\tau^2}{\tau^2 + (v_c + \bar v)/2}, \qquad
        \tau^2 = \overline{\delta' \delta''}, \quad v_c = (\delta'_c - \delta''_c)^2/4
    """
    common = (first * second).mean().clamp(min=0)
    doubt = (first - second) ** 2 / 4
    doubt = (doubt + doubt.mean()) / 2
    return torch.where(doubt > 0, delta * common / (common + doubt), delta)
