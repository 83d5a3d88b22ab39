"""A network converted to a phase code against the ANN that it comes from: single precision, and 8 bits."""

from __future__ import annotations

from typing import NamedTuple

import nir
import numpy as np
import torch
from torch import nn

import nirbridge
from nirbridge.quantizing import quantize

from .measuring import OURS, Row, Section, in_turns, only, over, profiled

NAME, TITLE = "converted", "A converted network over its ANN"
ABOUT = """A small MobileNet (a 3×3 convolution, six pairs of a depthwise 3×3 and a pointwise convolution, 32 to 256
channels, batch normalisation and ReLU6 behind each, 3×96×96 in) converted by `nirbridge.convert` to one spike or two in
windows of T = 16 phases. CPU time of one thread for an image by `Program.run`, over T passes of the ANN, a plain torch
module, for the same image: what a phase costs beside a pass of the ANN. 8 bits: the graph that `nirbridge.quantize`
makes, precision "fixed", over the same fp32 ANN. Before, outputs are compared with the reference's."""
ANN = "ANN, T passes"
SIZE, WIDTH, PHASES, PAIRS = 96, 32, 16, 6
FP32, INT8 = 1.3, 0.5
WHY = {
    "8 bits": "Spikes cost the same in any precision; what is left is windows, and sums of what is no spike.",
    "fp32": "The ANN's convolutions take the same time; windows and layers in between are small beside them.",
}


class Data(NamedTuple):
    """An image [1, *shape].

    Attributes:
        image: as the graph takes it.
        taken: as the ANN does.
    """

    image: np.ndarray
    taken: np.ndarray


def make_ann(size: int = SIZE, width: int = WIDTH, pairs: int = PAIRS) -> nn.Module:
    """The network in evaluation, with weights and statistics drawn from a seed."""
    torch.manual_seed(0)

    def layer(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(outputs, momentum=None), nn.ReLU6()]

    layers, channels = layer(3, width, 3, 2), width
    for pair in range(pairs):
        outputs = min(channels * (2 if pair % 2 == 0 else 1), 8 * width)
        layers += layer(channels, channels, 3, 1 + pair % 2, channels) + layer(channels, outputs, 1)
        channels = outputs
    ann = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))
    with torch.no_grad():
        ann.train()(torch.from_numpy(images(16, size)))  # statistics, so that every layer is alive
    return ann.eval()


def images(count: int, size: int = SIZE) -> np.ndarray:
    """[N, 3, size, size] patches of four pixels from 0 to 1."""
    coarse = torch.rand(count, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(1))
    return nn.functional.interpolate(coarse, size=(size, size)).numpy()


def require_same(graph: nir.NIRGraph, x: np.ndarray, precision: str) -> str:
    """Compares every output with the reference's; a sentence."""
    found = {}
    for runtime, options in (("reference", {}), ("norse", {} if precision == "fixed" else {"dtype": "float64"})):
        with nirbridge.compile(graph, runtime, precision=precision, **options) as program:
            found[runtime] = program.run(x).output
    apart, largest = np.abs(found["norse"] - found["reference"]).max(), np.abs(found["reference"]).max()
    if apart > (0 if precision == "fixed" else 1e-9 * largest):
        raise AssertionError(f"outputs differ by {apart} of {largest} from the reference's")
    return f"Outputs differ from the reference's by {apart / largest:.1g} of the largest."


def compare(
    ann: nn.Module, graph: nir.NIRGraph, what: str, target: float, precision: str, data: Data, rounds: int
) -> Row:
    """The graph over as many passes of the ANN as its window has phases."""
    x, frame = data.image[None], torch.from_numpy(data.taken)

    def passes() -> None:
        with torch.inference_mode():
            for _ in range(PHASES):
                ann(frame)

    with nirbridge.compile(graph, "norse", precision=precision) as program:
        runs = {OURS: lambda: program.run(x), ANN: passes}
        seconds = in_turns(runs, rounds)
        profile = profiled(runs[OURS])
    what = f"{what}, T = {PHASES}, over T passes of the fp32 ANN"
    return Row(what, over(seconds, OURS, ANN), target, seconds=only(seconds, *runs), profile=profile)


def measure(quick: bool = False) -> Section:
    """All rows."""
    size, width, pairs, rounds = (24, 4, 2, 1) if quick else (SIZE, WIDTH, PAIRS, 9)
    ann, data, section = make_ann(size, width, pairs), images(16, size), Section()
    image = images(1, size)
    for spikes, words in ((1, "one spike"), (2, "two spikes")):
        graph = nirbridge.convert(ann, data, phases=PHASES, spikes=spikes)
        rows = [(graph, f"fp32, {words}", FP32, "float")]
        if spikes == 1:
            rows.append((quantize(graph, data[None]), f"8 bits, {words}", INT8, "fixed"))
        for run, label, target, precision in rows:
            section.notes.append(f"{label}: {require_same(run, image[None], precision)}")
            what = f"converted MobileNet, {label}"
            section.rows.append(compare(ann, run, what, target, precision, Data(image, image), rounds))
    return section
