"""One-spike conversion of small graph networks: points of accuracy lost with averages that spike and that stay linear.

    python benchmarks/graph_conversion.py [--networks 10]

Each network tells two communities of 80 nodes apart by dense features, of which one is shifted on half of the nodes:
means over neighbours then differ by a few percent.  "from 0 on" codes them as they are, without centring.  Layers are
(A X) W + b, or A (X W + b), before whose aggregation two neurons a value stand where averages spike.

Then the two-layer network of the results page on the graph of digits, with either way, in floating point and in 8 bits.
"""

from __future__ import annotations

import argparse
from itertools import product
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import nirbridge
from benchmarks.results import digit_graph
from benchmarks.results.conversion import GRAPH, PAPER, TRAINING, WEIGHT_BITS
from nirbridge.converting import Aggregate, convert_in_full
from train_data import make_graph

WAYS = {"spike": {}, "spike, from 0 on": {}, "linear": {"averages": "linear"}}
ORDERS = {"(A X) W": True, "A (X W)": False}


class Gcn(nn.Module):
    """A relu(A X W1) W2, in either order of the products."""

    def __init__(self, weight: Tensor, gather_first: bool) -> None:
        super().__init__()
        self.aggregate, self.gather_first = Aggregate(weight), gather_first
        self.fc1, self.fc2 = nn.Linear(7, 9), nn.Linear(9, 3)

    def forward(self, x: Tensor) -> Tensor:
        """[B, nodes, 7] -> [B, nodes, 3]."""
        result: Tensor = self.layer(self.fc2, functional.relu(self.layer(self.fc1, x)))
        return result

    def layer(self, transform: nn.Module, x: Tensor) -> Tensor:
        """One graph convolution."""
        result: Tensor = transform(self.aggregate(x)) if self.gather_first else self.aggregate(transform(x))
        return result


def make(seed: int, gather_first: bool) -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A trained network, its data [1, 80, 7] and the labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(80) % 2
    linked = generator.random((80, 80)) < np.where(labels[:, None] == labels[None], 0.25, 0.03)
    linked = linked | linked.T | np.eye(80, dtype=bool)
    x = generator.random((1, 80, 7))
    x[0, :40, 0] += 0.5 * labels[:40]
    torch.manual_seed(seed)
    weight = torch.as_tensor(linked / np.sqrt(np.outer(linked.sum(1), linked.sum(1))))
    net = Gcn(weight, gather_first).double()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(120):
        optimizer.zero_grad()
        functional.cross_entropy(net(torch.as_tensor(x))[0, :40], torch.as_tensor(labels)[:40]).backward()
        optimizer.step()
    return net.eval(), x, labels


def accuracy(net: nn.Module, x: np.ndarray, labels: np.ndarray, way: str) -> float:
    """Share of right answers of the converted network at T = 16, Q = 1.3."""
    uncentred = patch("nirbridge.converting.one_spike.centre_aggregates", lambda graph, inserted, inputs: graph)
    with uncentred if "from 0" in way else patch.dict({}):
        graph = convert_in_full(net, x, base=1.3, calibrate="paper", **WAYS[way]).graph
    with nirbridge.compile(graph, "norse") as program:
        return float((program.run(x[None]).output[-1].argmax(-1) == labels).mean())


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3, help="trainings on the graph of digits")
    options = parser.parse_args()
    for order, gather_first in ORDERS.items():
        for way, found in lost(options.networks, gather_first).items():
            print(f"{order}, {way}: {np.mean(found):.2f} points lost in the mean, {max(found):.2f} at most")
    for line in on_digits(options.seeds):
        print(line)


def on_digits(seeds: int) -> list[str]:
    """What both ways lose and take on the graph of digits, means over the seeds."""
    graph = make_graph(**GRAPH)
    x, rows = graph.features.numpy()[None], {}
    for seed in range(seeds):
        network, known = digit_graph.trained(graph, seed, **TRAINING)
        with torch.no_grad():
            analog = network(graph.features[None]).numpy()
        for way, bits in product(("spike", "linear"), (None, WEIGHT_BITS)):
            conversion = convert_in_full(network, x, weight_bits=bits, calibrate="paper", **PAPER, **WAYS[way])
            with nirbridge.compile(conversion.graph, "norse") as program:
                found = program.run(x[None]).output[-1]
            ratios = [
                nirbridge.energy(conversion.graph, x[None], "norse", model, bits=bits or 32).ratio
                for model in ("one-spike", "memory")
            ]
            right = [(y[0].argmax(0) == graph.labels.numpy())[~known.numpy()].mean() for y in (analog, found)]
            numbers = (100 * (right[0] - right[1]), 100 * np.abs(found - analog).mean() / np.abs(analog).mean())
            same = 100 * (found.argmax(1) == analog.argmax(1)).mean()
            rows.setdefault((way, bits), []).append((*numbers, same, *ratios, conversion.latency.pipelined()))
    return [
        "digits, {}, {} bits: {:.2f} points lost, error {:.1f} %, same decision {:.1f} %, ANN/SNN {:.2f} by MAC, "
        "{:.2f} by memory, {:g} steps".format(way, bits or 32, *np.mean(found, axis=0))
        for (way, bits), found in rows.items()
    ]


def lost(networks: int, gather_first: bool) -> dict[str, list[float]]:
    """Points of accuracy that each network loses, for each way."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in range(networks):
        net, x, labels = make(seed, gather_first)
        with torch.no_grad():
            analog = float((net(torch.as_tensor(x)).numpy().argmax(-1) == labels).mean())
        for way, points in found.items():
            points.append(100 * (analog - accuracy(net, x, labels, way)))
    return found


if __name__ == "__main__":
    main()
