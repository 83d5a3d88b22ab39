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

Progress = Callable[[str], None]
_TOLD = 10
"""About as many batches are reported, however many there are."""
_KEPT = 256
"""Values of a channel that are kept, and so many times as many of a layer that has one range."""
_ROWS_AS_ONE = 64


@dataclass(frozen=True)
class Observed:
    """The outputs of one ReLU on the calibration data.

    Attributes:
        largest: of each channel, or one for the layer, broadcastable to the features, in double precision.
        sample: some of the outputs, a row for each number in ``largest``.
    """

    largest: Array
    sample: Tensor


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
    samples: dict[str, list[Tensor]] = {}
    run = functions(graph, inputs[0].dtype)
    count = sum(len(x) for x in inputs)
    dice = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for number, x in enumerate(inputs):
            for name, _, y in values(graph, run, x):
                if type(graph.nodes[name]) is Relu:
                    rows = _by_channel(graph, name, y)
                    top = found.setdefault(name, TopValues(percentile, rows.shape[1] // len(x) * count))
                    top.add(rows)
                    wanted = _KEPT * (1 if len(rows) > 1 else _ROWS_AS_ONE) * len(x) // count + 1
                    samples.setdefault(name, []).append(picked(rows, wanted, dice))
            if number % (1 + len(inputs) // _TOLD) == 0:
                progress(f"calibration: batch {number + 1} of {len(inputs)}")
    return {
        name: Observed(_placed(top.result(), graph, name), torch.cat(samples[name], 1)) for name, top in found.items()
    }


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
    for source in graph.incoming[name]:
        node = graph.nodes[source]
        if operation_of(node) == "convolution":
            return True
        between = type(node) in (ChannelAffine, Offset, Relu) or operation_of(node) in _KEEPS_CHANNELS
        if between and behind_convolution(graph, source):
            return True
    return False


_KEEPS_CHANNELS = ("scale", "max pool", "mean pool", "sum pool", "place")
"""Operations of primitives."""
