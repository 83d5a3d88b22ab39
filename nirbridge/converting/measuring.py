"""How far the spikes of a converted network are from the activations that they stand for, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

import nirbridge.runtime
from nirbridge.converting.calibration_data import checked_data, module_device, module_dtype
from nirbridge.converting.conversion import Conversion, Layer
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.markers import Array
from nirbridge.errors import InputError
from nirbridge.exporting.tracing import evaluation
from nirbridge.ir import Aggregate
from nirbridge.neurons import QCFS
from nirbridge.reports import table
from nirbridge.runtime import Recording

_AT_A_TIME = 16
"""Samples."""
_HEADERS = (
    *("layer", "neurons", "base", "own error", "accumulated", "clipped", "too small", "spikes", "silent"),
    "dead channels",
)


@dataclass(frozen=True)
class LayerError:
    """One layer's decoded activations against the analog network's, over the measured samples.

    Attributes:
        name: of the layer.
        neurons: their number.
        own_error: what the code alone does to the analog activations, Σ (coded - analog)² / Σ analog².
        error: what has accumulated up to here, Σ (decoded - analog)² / Σ analog².
        mean_absolute: mean |decoded - analog|, in the analog network's units.
        clipped: share of analog activations above the largest value that the code has.
        below: share of the analog activations above 0 that are too small for the code's last phase.
        silent: share of neurons that no sample makes spike.
        channels: ranges of the layer, one for each channel or one in all.
        dead: those that no calibration sample activated.
        rate: non-zero outputs per neuron and window.
        scale: (smallest, largest) λ of the layer's channels.
        base: Q of its spikes; 1 for qcfs.
    """

    name: str
    neurons: int
    own_error: float
    error: float
    mean_absolute: float
    clipped: float
    below: float
    silent: float
    channels: int
    dead: int
    rate: float
    scale: tuple[float, float]
    base: float


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
        correlation: of the outputs of a sample with the network's, Pearson's r, the mean over samples.
        agreement: share of samples (and nodes, in a graph network) whose largest output is the same; classes are axis
            1, as in torch's cross_entropy, or the last one where an Aggregate puts nodes first, [B, n, classes].
        agreement_top5: share of them where the network's is among the five largest; None below six classes.
        accuracy: share of them whose largest output is the label; None without labels.
        network_accuracy: the same of the analog network.
        latency: steps for one image, and for as many as there are samples, with and without pipelining.
        notes: what to look at.
    """

    method: str
    options: dict[str, Any]
    runtime: str
    samples: int
    layers: tuple[LayerError, ...]
    output_error: float
    correlation: float
    agreement: float
    agreement_top5: float | None
    accuracy: float | None
    network_accuracy: float | None
    latency: dict[str, int]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data."""
        return asdict(self)

    def table(self) -> str:
        """A row a layer: errors in percent of the activations' power, shares in percent, spikes a neuron a window."""
        rows = [
            (
                layer.name,
                layer.neurons,
                f"{layer.base:g}",
                f"{layer.own_error:.2%}",
                f"{layer.error:.2%}",
                f"{layer.clipped:.2%}",
                f"{layer.below:.2%}",
                f"{layer.rate:.3f}",
                f"{layer.silent:.1%}",
                f"{layer.dead} of {layer.channels}",
            )
            for layer in self.layers
        ]
        return table(_HEADERS, rows, right=_HEADERS[1:])


def measure(
    conversion: Conversion, data: Any, runtime: str = "reference", labels: Any = None, **options: Any
) -> Report:
    """Runs the analog network and the graph on ``data`` and compares every layer.

    Args:
        conversion: from :func:`nirbridge.converting.convert_in_full`.
        data: samples [N, *shape]; others than those of the calibration, to tell how it does on new ones.
        labels: class of every sample [N], or of every decision.
        runtime: that runs the graph.
        options: of the runtime.

    Raises:
        InputError: data do not fit, or labels are not one class for every decision.
        UnsupportedError: the runtime does not run the graph.
    """
    samples = checked_data(data)
    tallies = {layer.name: _Tally(layer, conversion) for layer in conversion.layers}
    with nirbridge.runtime.compile(conversion.graph, runtime, **options) as program:
        parts = program.run_in_parts(samples[None], _AT_A_TIME, list(tallies))
        outputs = [_compared(conversion, part, run, tallies) for part, run in parts]
    found, expected = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
    latency = conversion.latency
    scores, wanted = (np.moveaxis(values, _class_axis(conversion), -1) for values in (found, expected))
    decided, asked = scores.argmax(-1), wanted.argmax(-1)
    given = None if labels is None else _labels(labels, decided.shape, scores.shape[-1])
    five = np.argsort(-scores, -1, kind="stable")[..., :5]
    return Report(
        method=conversion.method,
        options=conversion.options,
        runtime=runtime,
        samples=len(samples),
        layers=tuple(tally.result() for tally in tallies.values()),
        output_error=_ratio(np.abs(found - expected).mean(), np.abs(expected).mean()),
        correlation=_correlation(scores, wanted),
        agreement=float((decided == asked).mean()),
        agreement_top5=float((five == asked[..., None]).any(-1).mean()) if scores.shape[-1] > 5 else None,
        accuracy=None if given is None else float((decided == given).mean()),
        network_accuracy=None if given is None else float((asked == given).mean()),
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


def _labels(labels: Any, shape: tuple[int, ...], classes: int) -> Array:
    array = np.asarray(labels)
    if array.shape != shape or array.dtype.kind not in "iu":
        found = f"has shape {array.shape} and dtype {array.dtype}, expected whole numbers of shape {shape}"
        raise InputError("argument 'labels'", found, "Give the class of every sample")
    if wrong := array[(array < 0) | (array >= classes)].tolist():
        found = f"class {wrong[0]} is not within 0..{classes - 1}"
        raise InputError("argument 'labels'", found, "Number the classes from 0 on")
    return array


def _correlation(found: Array, expected: Array) -> float:
    """Mean r over samples; those whose outputs are all alike tell nothing."""
    a, b = (values - values.mean(-1, keepdims=True) for values in (found, expected))
    power = np.sqrt((a**2).sum(-1) * (b**2).sum(-1))
    told = power > 0
    return float(((a * b).sum(-1)[told] / power[told]).mean()) if told.any() else 0.0


def _class_axis(conversion: Conversion) -> int:
    """See ``Report.agreement``."""
    nodes_first = any(type(node) is Aggregate for node in conversion.graph.nodes.values())
    return -1 if nodes_first else 1


def _compared(
    conversion: Conversion, part: dict[str, Array], run: Recording, tallies: dict[str, _Tally]
) -> tuple[Array, Array]:
    """Adds the run of some samples to the tallies; gives the graph's and the network's output."""
    (frames,) = part.values()
    x = torch.as_tensor(conversion.transform(frames[0].astype(np.float64))).to(module_dtype(conversion.module))
    expected = x
    with torch.no_grad():
        for name, y in _activations(conversion, x):
            if name in tallies:
                tallies[name].add(run.records[name], y.double().numpy())
            expected = y
    return run.output[-1], expected.double().numpy()


def _activations(conversion: Conversion, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and output of the analog layers in order; the network's own output last."""
    graph = conversion.analog
    if graph is None:
        return iter(_of_module(conversion, x))
    return ((name, y) for name, _, y in values(graph, functions(graph, x.dtype), x))


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
        self.code, steps = layer.code, conversion.latency.phases
        self.weights = np.full(steps, 1 / steps) if self.code is None else self.code.levels
        self.unit = np.ones(()) if self.code is None else layer.scale
        self.wrong = self.own = self.power = self.error = 0.0
        self.clipped = self.below = self.above_zero = self.spikes = self.count = 0
        self.active = np.zeros(layer.shape, dtype=bool)

    def add(self, spikes: Array, analog: Array) -> None:
        """One batch: [T, B, *shape] of spikes, [B, *shape] of activations."""
        decoded = np.tensordot(self.weights, spikes.astype(np.float64), axes=(0, 0)) * self.unit
        self.error += float(np.abs(decoded - analog).sum())
        self.wrong += float(((decoded - analog) ** 2).sum())
        self.power += float((analog**2).sum())
        parts = analog / self.layer.scale
        if self.code is not None:
            self.own += float(((self.code(torch.as_tensor(parts)).numpy() * self.unit - analog) ** 2).sum())
            self.below += int(((parts > 0) & (parts < self.code.smallest)).sum())
        self.above_zero += int((parts > 0).sum())
        self.clipped += int((parts > (1 if self.code is None else self.code.largest) * (1 + 1e-6)).sum())
        self.spikes += int(np.count_nonzero(spikes))
        self.active |= spikes.any(axis=(0, 1))
        self.count += analog.size

    def result(self) -> LayerError:
        """The means."""
        scale = self.layer.scale
        return LayerError(
            name=self.layer.name,
            neurons=self.active.size,
            own_error=_ratio(self.own, self.power),
            error=_ratio(self.wrong, self.power),
            mean_absolute=self.error / self.count,
            clipped=self.clipped / self.count,
            below=_ratio(self.below, self.above_zero),
            silent=float(1 - self.active.mean()),
            channels=scale.size,
            dead=self.layer.dead,
            rate=self.spikes / self.count,
            scale=(float(scale.min()), float(scale.max())),
            base=self.layer.base_out,
        )


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
