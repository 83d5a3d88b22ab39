"""What few bits of a weight cost a pretrained ImageNet network: decisions kept, with one step a layer or a channel,
rounded to the nearest or by GPTQ.

Weights alone are rounded, of the analog EfficientNet-Lite0 that conversion starts from (batch normalisation behind a
ReLU's layer stays in its threshold), on crops of 16 pictures; the decisions are those on 240 crops of 20 others.

    python benchmarks/weight_bits.py [--crops 4]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch

from nirbridge.converting.analog import AnalogGraph, analog_graph
from nirbridge.converting.evaluate import functions, values
from nirbridge.converting.rewrites import arrange
from nirbridge.converting.rounding import rounded_weights
from nirbridge.quantizing.steps import channel_steps, layer_step

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import imagenet_pictures as pictures

BITS = (8, 6, 5, 4)
BATCH = 16
WAYS = (
    ("layer 2^-e, nearest", "nearest", layer_step),
    ("channel, nearest", "nearest", channel_steps),
    ("layer 2^-e, GPTQ", "gptq", layer_step),
    ("channel, GPTQ", "gptq", channel_steps),
)


def logits(graph: AnalogGraph, x: torch.Tensor) -> np.ndarray:
    """What the network says of pictures."""
    run = functions(graph, x.dtype)
    with torch.no_grad():
        return np.concatenate(
            [next(y for name, _, y in values(graph, run, part) if name == graph.output) for part in x.split(BATCH)]
        )


def taken(pixels: np.ndarray) -> torch.Tensor:
    """Pictures as the network takes them."""
    return torch.from_numpy((pixels - pictures.MEAN) / pictures.STD)


def main() -> None:
    """Prints a row for each way and number of bits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crops", type=int, default=4, help="of each of the 16 pictures that GPTQ sees")
    given = parser.parse_args()
    if missing := pictures.missing():
        sys.exit(f"skipped: {', '.join(missing)} not installed; {pictures.__doc__}")
    torch.set_num_threads(1)
    judged, labels = pictures.judged(12)
    x, seen = taken(judged), taken(pictures.calibration(given.crops))
    traced = analog_graph(pictures.network(), tuple(x.shape[1:]))
    graph = arrange(traced, into_threshold=True, spiking_averages=False, input_too=False)
    expected = logits(graph, x)
    print(f"float: {(expected.argmax(1) == labels).mean():.1%} of the labels of {len(x)} crops; GPTQ sees {len(seen)}")
    for text, rounding, steps in WAYS:
        for bits in BITS:
            began = time.perf_counter()
            rounded = rounded_weights(graph, [seen], bits, rounding, steps=steps)
            seconds = time.perf_counter() - began
            found = logits(rounded, x)
            kept, same = (found.argmax(1) == expected.argmax(1)).mean(), (found.argmax(1) == labels).mean()
            alike = np.corrcoef(found.ravel(), expected.ravel())[0, 1]
            line = f"{text:20} {bits} bits: {kept:6.1%} of decisions kept, correlation {alike:.3f}, label {same:6.1%}"
            print(f"{line}, {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
