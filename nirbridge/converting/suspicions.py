"""Calibration data that a network was hardly trained on: too few, all alike, of another range."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array, Relu
from nirbridge.errors import Problem

_WHERE = "argument 'data'"
_FACTOR, _SHIFT = 8.0, 4.0
"""How far standard deviations and means may be from those of the training, as a factor and in standard deviations."""
_ALIKE = 1e-6
_BYTES = 127, 255
"""Whole numbers whose largest is above the first and none above the second are a picture's bytes."""


def suspicious_data(graph: AnalogGraph, data: Array, inputs: list[Tensor]) -> list[Problem]:
    """What is odd about calibration data, each with what to do.

    Args:
        graph: the network, arranged.
        data: [N, *shape] as given.
        inputs: the same as the network takes them, in batches.
    """
    return [*_single(data), *_constant(data), *_foreign(graph, data, inputs[0])]


def _single(data: Array) -> list[Problem]:
    if len(data) > 1:
        return []
    found = "holds a single sample, which tells little of the range of others"
    return [Problem(_WHERE, found, "Give 64 or more, of all kinds", rule="single_sample")]


def _constant(data: Array) -> list[Problem]:
    """Samples whose values are all the same, as a blank picture."""
    flat = data.reshape(len(data), -1).astype(np.float64)
    if flat.shape[1] == 1:
        return []
    alike = np.ptp(flat, axis=1) <= _ALIKE * np.abs(flat).max(axis=1)
    if not alike.any():
        return []
    found = f"{int(alike.sum())} of {len(data)} samples hold one value throughout"
    return [Problem(_WHERE, found, "Leave blank samples out", rule="constant_samples")]


def _unscaled(data: Array, x: Tensor) -> list[Problem]:
    """A picture's bytes as they are, which few networks are trained on."""
    above, most = _BYTES
    bytes_ = data.min() >= 0 and above < data.max() <= most and (data == np.rint(data)).all()
    if not bytes_ or float(x.max()) != data[: len(x)].max():  # or scaled by 'mean' and 'std'
        return []
    found = f"holds whole numbers up to {data.max():g}, as the bytes of pictures, and nothing tells the network's range"
    next_step = "Divide them by 255, or give 'mean' and 'std', unless it was trained on such values"
    return [Problem(_WHERE, found, next_step, rule="unscaled_data")]


def _foreign(graph: AnalogGraph, data: Array, x: Tensor) -> list[Problem]:
    """The first batch normalisation remembers what the network was trained on."""
    name = next((name for name in graph.of_type(Relu) if (graph.nodes[name].spread > 0).any()), None)
    if name is None:
        return _unscaled(data, x)
    node = graph.nodes[name]
    with torch.no_grad():
        run = functions(graph, x.dtype)
        entering = next(total for at, total, _ in values(graph, run, x) if at == name).double().numpy()
    entering = node.gain * entering + node.shift
    axes = tuple(axis for axis in range(entering.ndim) if axis != 1)
    known = node.spread.ravel() > 0
    mean, deviation = (value.ravel()[known] for value in (entering.mean(axes), entering.std(axes)))
    factor = float(np.median(deviation / node.spread.ravel()[known]))
    shift = float(np.median(np.abs(mean - node.center.ravel()[known]) / node.spread.ravel()[known]))
    if 1 / _FACTOR <= factor <= _FACTOR and shift <= _SHIFT:
        return []
    found = (
        f"is not what the network was trained on: at '{name}' it spreads {factor:.2g} times as much as in training "
        f"and lies {shift:.2g} standard deviations from its mean, by its batch normalisation"
    )
    return [Problem(_WHERE, found, "Check the range of the values, and 'mean' and 'std'", rule="foreign_data")]
