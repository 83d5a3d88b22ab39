"""A run of a pretrained ImageNet network as a spiking graph, one spike in windows of 16 phases, over passes of the ANN.

In single precision and in 8 bits; CPU time of one thread for a picture, in turns with the ANN in one process.  That all
runtimes agree on the graph is shown by ``examples/imagenet_network.py``.

    python -m benchmarks.imagenet_speed [--rounds 9] [--crops 1]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import numpy as np
import torch

import nirbridge
from benchmarks.speed.converted import FP32, INT8, PHASES, Data, compare
from nirbridge.quantizing import quantize
from nirbridge.reports import table

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import imagenet_pictures as pictures


def main() -> None:
    """Prints a row for each precision."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--crops", type=int, default=1, help="of each of the 16 pictures to calibrate on")
    given = parser.parse_args()
    if missing := pictures.missing():
        sys.exit(f"skipped: {', '.join(missing)} not installed; {pictures.__doc__}")
    torch.set_num_threads(1)
    network, data = pictures.network(), pictures.calibration(given.crops)
    image = pictures.judged(1)[0][:1]
    taken = ((image - pictures.MEAN) / pictures.STD).astype(np.float32)
    graph = nirbridge.convert(network, data, phases=PHASES, mean=[pictures.MEAN], std=[pictures.STD])
    rows = []
    for run, label, target, precision in (
        (graph, "fp32", FP32, "float"),
        (quantize(graph, data[None]), "8 bits", INT8, "fixed"),
    ):
        what = f"EfficientNet-Lite0, {label}"
        row = compare(network, run, what, target, precision, Data(image, taken), given.rounds)
        span = f"{min(row.values):.3f}–{max(row.values):.3f}"
        rows.append((row.what, f"{median(row.values):.3f}", span, target))
    print(table(("what", "median", "range", "at most"), rows, right=("median", "range", "at most")))


if __name__ == "__main__":
    main()
