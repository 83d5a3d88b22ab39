"""VGGSNN against its plain network: single precision, and 8 bits."""

from __future__ import annotations

from collections.abc import Callable

import nir
import numpy as np
import torch

import nirbridge
from nirbridge.networks.vgg import VGGSNN
from nirbridge.neurons import MultiLevelLIF, OverTime
from nirbridge.quantizing import quantize

from .fresh import FailedError, fresh
from .isa import CAPS, usable
from .measuring import OURS, Row, Section, in_turns, only, over, profiled

NAME, TITLE = "vgg", "A whole network over its plain network"
ABOUT = """VGGSNN (eight 3×3 convolutions of 64 to 512 channels, 2×48×48 in, M-LIF with 3 lanes) on B = 1 by
`Program.run`, over the same convolutions with ReLU in place of neurons, as a plain ANN on the same T frames: weights
packed by oneDNN, channels last, ReLU in place. CPU time of one thread. "fused" is the ANN with ReLU inside the
convolution, "plain torch" without packing. Weights are dyadic, so that spikes must equal the reference's. 8 bits:
the graph that `nirbridge.quantize` makes, precision "fixed", over the fp32 ANN with the same limit on instructions
(`ONEDNN_MAX_CPU_ISA`; only the best set is this machine's own)."""
ANN, FUSED, TORCH = "ANN, packed", "ANN, packed, fused", "ANN, plain torch"
SIZE, WIDTH, STEPS, CHECKED = 48, 64, (1, 4, 10), 2
FP32, INT8 = 1.03, {"AMX": 0.20, "VNNI": 0.30, "AVX2": 0.50}
WHY = {
    "8 bits": "`onednn` is the convolutions in 8 bits: of one or a few frames they read weights more than they "
    "compute; the first convolution, of data, and the neurons stay in single precision.",
    "fp32": "The ANN has no neuron passes, no states and no Python between nodes; of one step they read the membranes "
    "of all neurons for a single value each.",
}


def make_graph(size: int = SIZE, width: int = WIDTH, lanes: int = 3) -> nir.NIRGraph:
    """The network with integer weights times powers of two, on which all layers spike."""
    network = VGGSNN(input_shape=(2, size, size), width=width, neuron=lambda: MultiLevelLIF(lanes, 1.0, 0.5))
    graph = nirbridge.export(OverTime(network).eval(), (2, size, size))
    rng = np.random.default_rng(0)
    for node in graph.nodes.values():
        if hasattr(node, "weight"):
            unit = 2.0 ** -np.round(np.log2(3 * np.prod(node.weight.shape[1:]) ** 0.5))
            node.weight = (rng.integers(-8, 9, node.weight.shape) * unit).astype(np.float32)
            node.bias = np.full(node.bias.shape, 0.125, np.float32)
    return graph


def frames(steps: int, size: int = SIZE, batch: int = 1) -> np.ndarray:
    """[T, B, 2, size, size], levels 0 to 4, a fifth of them above 0."""
    rng = np.random.default_rng(1)
    shape = (steps, batch, 2, size, size)
    return (2.0 ** rng.integers(0, 3, shape) * (rng.random(shape) < 0.2)).astype(np.float32)


class Ann:
    """The network's convolutions and its linear layer with ReLU between, on [N, C, H, W]."""

    def __init__(self, graph: nir.NIRGraph, frame: torch.Tensor) -> None:
        chain = [node for node in graph.nodes.values() if hasattr(node, "weight")]
        self.convolutions = []
        for node in chain[:-1]:
            weight, bias = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
            stride, padding = ([int(n) for n in np.broadcast_to(value, 2)] for value in (node.stride, node.padding))
            packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
                weight.to_mkldnn(), padding, stride, [1, 1], 1, list(frame.shape)
            )
            self.convolutions.append((weight, packed, bias, padding, stride))
            frame = torch.conv2d(frame, weight, bias, stride, padding)
        self.weight, self.bias = torch.from_numpy(chain[-1].weight), torch.from_numpy(chain[-1].bias)

    def packed(self, x: torch.Tensor, fused: bool = False) -> torch.Tensor:
        """Packed weights, channels last; with ``fused`` ReLU is part of the convolution."""
        after = "relu" if fused else "none"
        with torch.inference_mode():
            x = x.to(memory_format=torch.channels_last)
            for _, weight, bias, padding, stride in self.convolutions:
                x = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, padding, stride, [1, 1], 1, after, [], "")
                x = x if fused else x.relu_()
            return torch.nn.functional.linear(x.flatten(1), self.weight, self.bias)

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        """As torch's modules compute it."""
        with torch.inference_mode():
            for weight, _, bias, padding, stride in self.convolutions:
                x = torch.conv2d(x, weight, bias, stride, padding).relu_()
            return torch.nn.functional.linear(x.flatten(1), self.weight, self.bias)


def ann_runs(graph: nir.NIRGraph, x: np.ndarray) -> dict[str, Callable[[], torch.Tensor]]:
    """All ways of the plain network on frames [T, B, ...], which give the same but for the order of sums."""
    flat = torch.from_numpy(x).flatten(0, 1)
    ann = Ann(graph, flat)
    runs = {ANN: lambda: ann.packed(flat), FUSED: lambda: ann.packed(flat, True), TORCH: lambda: ann.plain(flat)}
    for run in runs.values():
        torch.testing.assert_close(run(), runs[TORCH](), rtol=1e-4, atol=1e-4)
    return runs


def require_same(graph: nir.NIRGraph, x: np.ndarray, precision: str) -> str:
    """Compares every spike with the reference's; a sentence."""
    kinds = {name: type(node).__name__ for name, node in graph.nodes.items()}
    neurons = [name for name, kind in kinds.items() if kind == "MultiLevelLIF"]
    found = {}
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime, precision=precision) as program:
            recording = program.run(x, record=neurons)
            found[runtime] = [recording.output, *(recording.records[name] for name in neurons)]
    pairs = list(zip(found["reference"], found["norse"], strict=True))
    differing = sum(int((a != b).sum()) for a, b in pairs)
    if differing:
        raise AssertionError(f"{differing} values differ from the reference's")
    spiking = [float((a != 0).mean()) for a, _ in pairs[1:]]
    return (
        f"All {sum(a.size for a, _ in pairs):,} spikes and outputs of {len(x)} steps equal the reference's; "
        f"{min(spiking):.0%} to {max(spiking):.0%} of a layer's neurons spike a step."
    )


def compare(graph: nir.NIRGraph, integers: nir.NIRGraph | None, label: str, target: float, **sizes: int) -> Section:
    """Rows of one precision: the graph, or what quantising made of it, over the ANN."""
    section = Section()
    run = graph if integers is None else integers
    precision = "float" if integers is None else "fixed"
    size, rounds = sizes["size"], sizes["rounds"]
    section.notes.append(f"{label}: {require_same(run, frames(CHECKED, size), precision)}")
    with nirbridge.compile(run, "norse", precision=precision) as program:
        for steps in STEPS[: sizes["lengths"]]:
            x = frames(steps, size)
            runs = {OURS: lambda x=x: program.run(x), **ann_runs(graph, x)}
            seconds = in_turns(runs, rounds)
            values = over(seconds, OURS, ANN)
            section.rows.append(
                Row(
                    f"VGGSNN, {label}, T = {steps}, over the fp32 ANN",
                    values, target, seconds=only(seconds, *runs), profile=profiled(runs[OURS]),
                )
            )  # fmt: skip
    return section


def measure_int8(isa: str, size: int, width: int, rounds: int, lengths: int) -> Section:
    """Rows in 8 bits, in a process whose oneDNN goes no further than ``isa``."""
    graph = make_graph(size, width)
    integers = quantize(graph, frames(4, size))
    return compare(graph, integers, f"8 bits, {isa}", INT8[isa], size=size, rounds=rounds, lengths=lengths)


def measure(quick: bool = False) -> Section:
    """All rows."""
    sizes = {"size": 16, "rounds": 1, "lengths": 1} if quick else {"size": SIZE, "rounds": 7, "lengths": len(STEPS)}
    width = 4 if quick else WIDTH
    section = compare(make_graph(sizes["size"], width), None, "fp32", FP32, **sizes)
    if quick:
        return section
    for isa in usable():
        try:
            environment = {"ONEDNN_MAX_CPU_ISA": CAPS[isa]}
            found = fresh("benchmarks.speed.vgg:measure_int8", environment, isa=isa, width=width, **sizes)
        except FailedError as error:
            section.notes.append(f"8 bits, {isa}: not measured, {error}.")
            continue
        section.rows += [Row(**row) for row in found["rows"]]
        section.notes += found["notes"]
    return section
