"""How far the spikes of a converted network are from the activations that they stand for, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

import numpy as np
import torch

import nirbridge.runtime
from nirbridge.converting.analog import AnalogGraph
from nirbridge.converting.calibrate import checked_data, module_device, module_dtype
from nirbridge.converting.conversion import Conversion, Layer
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array
from nirbridge.exporting.tracing import evaluation
from nirbridge.ir import Aggregate
from nirbridge.neurons import QCFS
from nirbridge.runtime import Program

_MOST_SAMPLES = 16
_MOST_VALUES = 2**25
"""Recorded values of all layers that are held at a time."""


@dataclass(frozen=True)
class LayerError:
    """One layer's decoded activations against the analog network's, over the measured samples.

    Attributes:
        name: of the layer.
        neurons: their number.
        mean_absolute: mean |decoded - analog|, in the analog network's units.
        relative: the same, divided by the mean analog activation.
        silent: share of neurons that no sample makes spike.
        saturated: share of analog activations above the largest value that the code has.
        rate: non-zero outputs per neuron and window.
        scale: (smallest, largest) λ of the layer's channels.
    """

    name: str
    neurons: int
    mean_absolute: float
    relative: float
    silent: float
    saturated: float
    rate: float
    scale: tuple[float, float]


@dataclass(frozen=True)
class Report:
    """The quality of a conversion on some samples.

    Attributes:
        method: of the conversion.
        options: of the conversion, defaults filled in.
        runtime: that ran the graph.
        samples: their number.
        layers: the errors, in order.
        output_error: mean |graph - network| of the output, divided by the mean |network|.
        agreement: share of samples (and nodes, in a graph network) whose largest output is the same; classes are axis
            1, as in torch's cross_entropy, or the last one where an Aggregate puts nodes first, [B, n, classes].
        latency: steps for one image, and for as many as there are samples, with and without pipelining.
        notes: what to look at.
    """

    method: str
    options: dict[str, Any]
    runtime: str
    samples: int
    layers: tuple[LayerError, ...]
    output_error: float
    agreement: float
    latency: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)


def measure(conversion: Conversion, data: Any, runtime: str = "reference", **options: Any) -> Report:
    """Runs the analog network and the graph on ``data`` and compares every layer.

    Args:
        conversion: from :func:`nirbridge.converting.convert_in_full`.
        data: samples [N, *shape].
        runtime: that runs the graph.
        options: of the runtime.

    Raises:
        InputError: data do not fit.
        UnsupportedError: the runtime does not run the graph.
    """
    samples = checked_data(data)
    tallies = {layer.name: _Tally(layer, conversion) for layer in conversion.layers}
    outputs: list[tuple[Array, Array]] = []
    with nirbridge.runtime.compile(conversion.graph, runtime, **options) as program:
        size = _batch_size(conversion)
        for start in range(0, len(samples), size):
            batch = samples[start : start + size].astype(np.float64)
            outputs.append(_compared(conversion, program, batch, tallies))
    found, expected = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    latency, classes = conversion.latency, _class_axis(conversion)
    return Report(
        method=conversion.method,
        options=conversion.options,
        runtime=runtime,
        samples=len(samples),
        layers=tuple(tally.result() for tally in tallies.values()),
        output_error=_ratio(np.abs(found - expected).mean(), np.abs(expected).mean()),
        agreement=float((found.argmax(classes) == expected.argmax(classes)).mean()),
        latency={
            "phases": latency.phases,
            "wait": latency.wait,
            "layers": latency.depth,
            "one_image": latency.pipelined(),
            "images": len(samples),
            "pipelined": latency.pipelined(len(samples)),
            "sequential": latency.sequential(len(samples)),
        },
        notes=tuple(str(note) for note in conversion.notes),
    )


def _class_axis(conversion: Conversion) -> int:
    """See ``Report.agreement``."""
    nodes_first = any(type(node) is Aggregate for node in conversion.graph.nodes.values())
    return -1 if nodes_first else 1


def _batch_size(conversion: Conversion) -> int:
    neurons = sum(prod(layer.shape) for layer in conversion.layers)
    return int(min(_MOST_SAMPLES, max(1, _MOST_VALUES // max(1, neurons * conversion.latency.phases))))


def _compared(
    conversion: Conversion, program: Program, batch: Array, tallies: dict[str, _Tally]
) -> tuple[Array, Array]:
    """Adds one batch to the tallies; gives the graph's and the network's output."""
    run = program.run(batch[None], record=list(tallies))
    x = torch.as_tensor(conversion.transform(batch)).to(module_dtype(conversion.module))
    expected = x
    with torch.no_grad():
        for name, y in _activations(conversion, x):
            if name in tallies:
                tallies[name].add(run.records[name], y.double().numpy())
            expected = y
    return run.output[-1], expected.double().numpy()


def _activations(conversion: Conversion, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and output of the analog layers in order; the network's own output last."""
    if conversion.analog is not None:
        return _of_graph(conversion.analog, x)
    return iter(_of_module(conversion, x))


def _of_graph(graph: AnalogGraph, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    for name, _, y in values(graph, functions(graph, x.dtype), x):
        yield name, y


def _of_module(conversion: Conversion, x: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    found: list[tuple[str, torch.Tensor]] = []
    hooks = [
        inner.register_forward_hook(lambda m, args, y, name=name: found.append((name, y.cpu())))
        for name, inner in conversion.module.named_modules()
        if type(inner) is QCFS
    ]
    try:
        with evaluation(conversion.module):
            output = conversion.module(x.to(module_device(conversion.module))).cpu()
    finally:
        for hook in hooks:
            hook.remove()
    return [*found, ("", output)]


class _Tally:
    """Sums over batches of one layer's errors."""

    def __init__(self, layer: Layer, conversion: Conversion) -> None:
        self.layer = layer
        if conversion.method == "one-spike":
            first, phases = conversion.options["first_phase"], conversion.options["phases"]
            self.weights = layer.base_out ** -np.arange(first, first + phases, dtype=np.float64)
            self.unit = layer.scale
        else:
            self.weights, self.unit = np.full(conversion.latency.phases, 1 / conversion.latency.phases), np.ones(())
        self.largest = self.weights.max() * layer.scale if conversion.method == "one-spike" else layer.scale
        self.error = self.analog = self.saturated = self.spikes = 0.0
        self.count = 0
        self.active = np.zeros(layer.shape, dtype=bool)

    def add(self, spikes: Array, analog: Array) -> None:
        """One batch: [T, B, *shape] of spikes, [B, *shape] of activations."""
        decoded = np.tensordot(self.weights, spikes.astype(np.float64), axes=(0, 0)) * self.unit
        self.error += float(np.abs(decoded - analog).sum())
        self.analog += float(analog.sum())
        self.saturated += float((analog > self.largest * (1 + 1e-6)).sum())
        self.spikes += float(np.count_nonzero(spikes))
        self.active |= spikes.any(axis=(0, 1))
        self.count += analog.size

    def result(self) -> LayerError:
        """The means."""
        scale = self.layer.scale
        return LayerError(
            name=self.layer.name,
            neurons=self.active.size,
            mean_absolute=self.error / self.count,
            relative=_ratio(self.error, self.analog),
            silent=float(1 - self.active.mean()),
            saturated=self.saturated / self.count,
            rate=self.spikes / self.count,
            scale=(float(scale.min()), float(scale.max())),
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
