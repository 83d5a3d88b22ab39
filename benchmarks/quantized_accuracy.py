"""What integers cost: accuracy of trained networks, quantised to few bits, and whether all runtimes give the same.

One-spike networks converted from a ReLU network trained on scikit-learn's digits, an LM-HT network taken over from one
with QCFS activations and trained further, and, if its files are given, the one-hot network of examples/nmnist.py.
"Differing" counts spikes, membranes and scores that differ between reference, norse and lava in both mappings.

    python benchmarks/quantized_accuracy.py [--nmnist out --labels ../shared/data/nmnist-small/labels.csv]
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import nir
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from nirbridge.ir import spec_of
from nirbridge.neurons import QCFS, OverTime
from nirbridge.quantizing import QuantizeReport, quantize_with_report
from nirbridge.training import lmht_from_qcfs

BITS = (8, 6, 4, 3, 2, 1)
WAYS = (("layer", "nearest"), ("channel", "nearest"), ("layer", "gptq"), ("channel", "gptq"))
"""One step for what, and how weights become whole."""
FEW = 4
"""Samples that run on every runtime."""
STEPS = 3
EVERYWHERE = (("reference", {}), ("norse", {}), ("lava", {"mapping": "processes"}), ("lava", {"mapping": "fused"}))


@dataclass(frozen=True)
class Subject:
    """A trained graph, its calibration and test data [T, N, *shape], the labels, and how scores become one a sample."""

    name: str
    graph: nir.NIRGraph
    calibration: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    scores: Callable[[np.ndarray], np.ndarray]

    def decisions(self, graph: nir.NIRGraph, x: np.ndarray) -> np.ndarray:
        """The class of every sample."""
        with nirbridge.compile(graph, "norse") as program:
            return self.scores(program.run(x).output).argmax(1)


def network(activation: Callable[[], nn.Module]) -> nn.Sequential:
    """A convolution, a pool and two layers."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), activation(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(192, 48), activation(),
        nn.Linear(48, 10),
    )  # fmt: skip


def train(module: nn.Module, x: Tensor, labels: Tensor, epochs: int, rate: float) -> None:
    """Adam on the mean over time."""
    optimizer = torch.optim.Adam(module.parameters(), rate, weight_decay=1e-4)
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(x.shape[-4], generator=generator).split(64):
            out = module(x[batch] if x.ndim == 4 else x[:, batch])
            optimizer.zero_grad()
            functional.cross_entropy(out if out.ndim == 2 else out.mean(0), labels[batch]).backward()
            optimizer.step()
    module.eval()


def digit_subjects() -> list[Subject]:
    """Conversions of networks trained on digits."""
    torch.manual_seed(0)
    pictures, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pictures))
    x, y = (pictures[order] / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels[order]
    tx, ty, test, test_labels = torch.from_numpy(x[:1297]), torch.from_numpy(y[:1297]), x[1297:], y[1297:]
    relu = network(nn.ReLU)
    train(relu, tx, ty, 20, 3e-3)
    subjects = [
        Subject(
            f"one-spike T={phases} Q={base}",
            nirbridge.convert(relu, x[:1297], method="one-spike", phases=phases, base=base),
            x[None, :100], test[None], test_labels, lambda out: out[-1],
        )
        for phases, base in ((16, 1.3), (8, 1.5))
    ]  # fmt: skip
    qcfs = network(lambda: QCFS(12))
    train(qcfs, tx, ty, 20, 3e-3)
    lmht: OverTime = lmht_from_qcfs(qcfs, STEPS)
    lmht.train()
    train(lmht, tx.expand(STEPS, *tx.shape), ty, 3, 1e-3)
    graph = nirbridge.export(lmht, input_shape=(1, 8, 8))
    still, shown = (np.repeat(data[None], STEPS, 0) for data in (x[:100], test))
    return [*subjects, Subject(f"LM-HT T={STEPS} L=4", graph, still, shown, test_labels, lambda out: out.mean(0))]


def nmnist_subject(folder: Path, labels: Path) -> Subject:
    """The network that examples/nmnist.py wrote, and its 200 test recordings."""
    x = np.load(folder / "nmnist_test.npy")
    with labels.open() as file:
        found = np.array([int(row["label"]) for row in csv.DictReader(file)])[-x.shape[1] :]
    return Subject("N-MNIST", nirbridge.read(folder / "nmnist.nir"), x[:, :30], x, found, lambda out: out.mean(0))


def differing(graph: nir.NIRGraph, x: np.ndarray) -> tuple[int, int]:
    """(values of spikes, membranes and outputs that are not the same on every runtime, values compared)."""
    with nirbridge.compile(graph) as program:
        neurons = [p.name for p in program.plan.nodes if spec_of(p.node).has_membrane]
    names = [record for name in neurons for record in (name, f"{name}:v")]
    runs = []
    for runtime, options in EVERYWHERE:
        with nirbridge.compile(graph, runtime, **options) as program:
            assert program.plan.input_limit, "the graph does not run in integers"
            found = program.run(x, record=names)
        runs.append([found.output, *found.records.values()])
    wrong = sum(int((a != b).sum()) for other in runs[1:] for a, b in zip(runs[0], other, strict=True))
    return wrong, sum(array.size for array in runs[0])


def main() -> None:
    """Prints a row for each network and number of bits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nmnist", type=Path, help="folder that examples/nmnist.py wrote")
    parser.add_argument("--labels", type=Path, help="labels.csv of the recordings")
    given = parser.parse_args()
    torch.set_num_threads(1)
    subjects = digit_subjects()
    if given.nmnist:
        subjects.append(nmnist_subject(given.nmnist, given.labels))
    for subject in subjects:
        real = subject.decisions(subject.graph, subject.test)
        print(f"{subject.name}: float {(real == subject.labels).mean():.1%}")
        for bits in BITS:
            for per, rounding in WAYS:
                report: QuantizeReport
                integers, report = quantize_with_report(
                    subject.graph, subject.calibration, weight_bits=bits, per=per, rounding=rounding
                )
                found = subject.decisions(integers, subject.test)
                line = f"  {bits} bits, {per:7}, {rounding:7}: {(found == subject.labels).mean():6.1%}"
                line += f", as float {(found == real).mean():6.1%}"
                cut, full = (sum(map(attrgetter(name), report.layers)) for name in ("weights_cut", "states_saturated"))
                line += f", {cut} weights cut, {full} states saturated"
                if bits == BITS[0] and (per, rounding) in (WAYS[0], WAYS[-1]):
                    wrong, compared = differing(integers, subject.test[:, :FEW])
                    line += f", {wrong} differing of {compared:,} values on {len(EVERYWHERE)} runtimes"
                print(line, flush=True)


if __name__ == "__main__":
    main()
