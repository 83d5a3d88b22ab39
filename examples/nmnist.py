"""Train a one-hot M-LIF network on N-MNIST recordings, export it, and run it on Norse and on Lava.

    python examples/nmnist.py ../shared/data/nmnist-small --out out

The folder holds ``labels.csv`` (file, label) and ``train/*.bin``, one N-MNIST recording each.  The first 800 train,
the other 200 test.  Weights are rounded to multiples of 2^-6 while training, so that every runtime computes the same
numbers and not one spike may differ; the script ends with exit code 1 if one does.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from time import perf_counter

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import nirbridge
from grid_training import train
from nirbridge.ir import EventInput
from nirbridge.neurons import MultiLevelLIF, OverTime
from nirbridge_events import FrameEncoder, open_recording

EVENTS = EventInput(shape=(2, 34, 34), sensor_size=(34, 34), window=32_000, subframes=4, lanes=3, coding="one-hot")
STEPS = 10
TRAINING = 800
Frames = NDArray[np.float32]


class Network(nn.Module):
    """Two convolutions and a readout; S = 3 lanes, hard reset, decay 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 12, 5, stride=2, bias=False)
        self.act1 = _neuron()
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2, bias=False)
        self.act2 = _neuron()
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.3)
        self.readout = nn.Linear(24 * 7 * 7, 10, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 2, 34, 34] -> [N, 10]."""
        x = self.act1(self.conv1(x))
        x = self.act2(self.conv2(x))
        return self.readout(self.dropout(self.flatten(x)))


def _neuron() -> MultiLevelLIF:
    return MultiLevelLIF(lanes=3, threshold=1.0, decay=0.5, reset="value", surrogate="tet")


def load(folder: Path) -> tuple[Frames, NDArray[np.int64]]:
    """All recordings as frames [N, T, 2, 34, 34], and their labels [N], in the order of ``labels.csv``."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    frames = np.zeros((len(rows), STEPS, *EVENTS.shape), np.float32)
    lost = 0
    with click.progressbar(rows, label="Encoding", file=sys.stderr) as bar:
        for index, row in enumerate(bar):
            encoder = FrameEncoder.from_node(EVENTS)
            recording = open_recording(folder / "train" / row["file"], sensor_size=(34, 34))
            found = [window.frame for window in encoder.encode(recording)]
            lost += max(len(found) - STEPS, 0)
            frames[index, : len(found)] = found[:STEPS]
    print(f"{len(rows)} recordings, {lost} windows beyond step {STEPS} left out", file=sys.stderr)
    return frames, np.array([int(row["label"]) for row in rows])


def agreement(path: Path, frames: Frames, labels: NDArray[np.int64]) -> int:
    """Runs the file on Norse and on Lava, prints what they decide, and counts what differs."""
    x = np.ascontiguousarray(frames.swapaxes(0, 1))
    graph = nirbridge.read(path)
    spiking = [name for name in graph.nodes if name.endswith(("act1", "act2"))]
    results = {}
    for runtime in ("norse", "lava"):
        with nirbridge.compile(graph, runtime=runtime) as program:
            start = perf_counter()
            results[runtime] = program.run(x, record=spiking)
            seconds = perf_counter() - start
        accuracy = (results[runtime].output.mean(0).argmax(1) == labels).mean()
        print(f"{runtime:>6}: {accuracy:6.1%} of {len(labels)} recordings right, {seconds:.2f} s")
    norse, lava = results["norse"], results["lava"]
    decisions = (norse.output.mean(0).argmax(1) != lava.output.mean(0).argmax(1)).sum()
    print(f"decisions that differ: {decisions}")
    mismatches = 0
    for name in spiking:
        a, b = norse.records[name], lava.records[name]
        mismatches += int((a != b).sum())
        print(f"{name}: {np.count_nonzero(a)} spikes, {int((a != b).sum())} mismatches")
    return int(decisions) + mismatches


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("out"), help="Folder for the model."
)
@click.option("--epochs", default=40, show_default=True, help="Passes over the training recordings.")
@click.option("--seed", default=0, show_default=True, help="Seed of weights and batches.")
def main(folder: Path, out: Path, epochs: int, seed: int) -> None:
    """Train on FOLDER, export to OUT/nmnist.nir, and compare Norse and Lava on the test recordings."""
    torch.manual_seed(seed)
    frames, labels = load(folder)
    network = OverTime(Network())
    x = torch.from_numpy(frames).transpose(0, 1)
    train(network, x[:, :TRAINING], torch.from_numpy(labels[:TRAINING]), epochs, roll=3)
    out.mkdir(parents=True, exist_ok=True)
    nirbridge.write(out / "nmnist.nir", nirbridge.export(network, input_shape=EVENTS.shape, input_node=EVENTS))
    np.save(out / "nmnist_test.npy", frames[TRAINING:].swapaxes(0, 1))
    with torch.inference_mode():
        logits = network(x[:, TRAINING:]).mean(0)
    print(f" torch: {(logits.argmax(1).numpy() == labels[TRAINING:]).mean():6.1%}; wrote {out / 'nmnist.nir'}")
    sys.exit(1 if agreement(out / "nmnist.nir", frames[TRAINING:], labels[TRAINING:]) else 0)


if __name__ == "__main__":
    main()
