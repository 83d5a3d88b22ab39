"""Runs the analog network on data and keeps what the ranges of its activations follow from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, ChannelAffine, Offset, Relu, operation_of
from nirbridge.converting.percentiles import TopValues
from nirbridge.ir.topology import reached

Progress = Callable[[str], None]
_TOLD = 10
"""About as many batches are reported, however many there are."""
_KEPT = 256
"""Values of a channel that are kept, and so many times as many of a layer that has one range."""
_ROWS_AS_ONE = 64
_PEAKS = 16
"""Largest values of a channel that are kept of each half of the data."""
_FEWEST = 8
"""Samples from which halves say something of each other."""


@dataclass(frozen=True)
class Observed:
    """The outputs of one ReLU on the calibration data.

    Attributes:
        largest: of each channel, or one for the layer, broadcastable to the features, in double precision.
        sample: some of the outputs, a row for each number in ``largest``.
        halves: the same of the first and of the second half of the data, by which one can tell what unseen data do;
            empty where the data have too few samples, or a percentile is in place of the largest.
    """

    largest: Array
    sample: Tensor
    halves: tuple[Half, ...] = ()


@dataclass(frozen=True)
class Half:
    """The outputs of one ReLU on half of the calibration data.

    Attributes:
        sample: some of the outputs, [rows, values].
        peaks: its largest outputs, one of a line of places in a sample, descending, [rows, values].
        count: outputs of a row of all samples.
    """

    sample: Tensor
    peaks: Tensor
    count: int


def observe(
    graph: AnalogGraph, inputs: list[Tensor], progress: Progress, percentile: float = 100.0
) -> dict[str, Observed]:
    """What every ReLU sends: its largest output, per channel behind a convolution, else one for the layer.

    Args:
        graph: the network.
        inputs: calibration data in batches.
        progress: is told what is being done.
        percentile: of the outputs above 0 that takes the place of the largest, by linear interpolation.

    Returns:
        For every ReLU; its largest is 0 where nothing was ever active.
    """
    found: dict[str, TopValues] = {}
    samples: dict[str, list[list[Half]]] = {}
    run = functions(graph, inputs[0].dtype)
    count = sum(len(x) for x in inputs)
    dice = torch.Generator().manual_seed(0)
    done = 0
    with torch.no_grad():
        for number, x in enumerate(inputs):
            first = min(max(count // 2 - done, 0), len(x))  # of the first half
            done += len(x)
            for name, _, y in values(graph, run, x):
                if type(graph.nodes[name]) is Relu:
                    rows = _by_channel(graph, name, y)
                    top = found.setdefault(name, TopValues(percentile, rows.shape[1] // len(x) * count))
                    top.add(rows)
                    for half, part in enumerate((y[:first], y[first:])):
                        if len(part):
                            seen = samples.setdefault(name, [[], []])
                            seen[half].append(_half(graph, name, part, len(part) / count, dice))
            if number % (1 + len(inputs) // _TOLD) == 0:
                progress(f"calibration: batch {number + 1} of {len(inputs)}")
    return {
        name: Observed(
            _placed(top.result(), graph, name),
            torch.cat([part.sample for half in samples[name] for part in half], 1),
            tuple(_joined(half) for half in samples[name]) if count >= _FEWEST and percentile == 100 else (),
        )
        for name, top in found.items()
    }


def _half(graph: AnalogGraph, name: str, y: Tensor, share: float, dice: torch.Generator) -> Half:
    """Of some samples, ``share`` of all."""
    rows = _by_channel(graph, name, y)
    wanted = int(_KEPT * (1 if len(rows) > 1 else _ROWS_AS_ONE) * share) + 1
    maps = y.amax(-1) if behind_convolution(graph, name) and y.ndim > 3 else y
    return Half(picked(rows, wanted, dice), _largest(_by_channel(graph, name, maps)), rows.shape[1])


def _largest(rows: Tensor) -> Tensor:
    return rows.topk(min(_PEAKS, rows.shape[1]), 1).values


def _joined(parts: list[Half]) -> Half:
    peaks = _largest(torch.cat([part.peaks for part in parts], 1))
    return Half(torch.cat([part.sample for part in parts], 1), peaks, sum(part.count for part in parts))


def picked(rows: Tensor, count: int, dice: torch.Generator) -> Tensor:
    """``count`` columns by chance, or all where there are no more."""
    if rows.shape[1] <= count:
        return rows.clone()
    return rows[:, torch.randint(rows.shape[1], (count,), generator=dice)]


def _by_channel(graph: AnalogGraph, name: str, y: Tensor) -> Tensor:
    """[B, C, ...] as one row of values for each channel behind a convolution, else one row in all."""
    return y.transpose(0, 1).flatten(1) if behind_convolution(graph, name) else y.reshape(1, -1)


def _placed(scale: Array, graph: AnalogGraph, name: str) -> Array:
    if not behind_convolution(graph, name):
        return scale.reshape(())
    return scale.reshape(-1, *(1,) * (len(graph.shapes[name]) - 1))


def behind_convolution(graph: AnalogGraph, name: str) -> bool:
    """Whether the features of this ReLU are channels of a convolution: only what keeps channels stands between."""

    def before(source: str) -> tuple[str, ...]:
        node = graph.nodes[source]
        between = type(node) in (ChannelAffine, Offset, Relu) or operation_of(node) in _KEEPS_CHANNELS
        return graph.incoming[source] if between else ()

    return any(operation_of(graph.nodes[one]) == "convolution" for one in reached(graph.incoming[name], before))


_KEEPS_CHANNELS = ("scale", "max pool", "mean pool", "sum pool", "place")
"""Operations of primitives."""
