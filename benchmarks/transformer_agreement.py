"""Transformer-2-512 at CIFAR size: every spike of its graph on each runtime, against the module in double precision.

    python benchmarks/transformer_agreement.py [--samples 1] [--steps 4]

Random weights and pictures; the biases of batch normalisation are 1/2, so that every layer spikes.  Prints, for each
runtime, the spikes that differ, those of the first layer in which any does, and the largest difference of the output.
"""

from __future__ import annotations

import argparse
import time

import torch

import nirbridge
from nirbridge.networks import SpikeTransformer
from nirbridge.neurons import MultiLevelLIF, OverTime

RUNS = (
    ("reference", {}),
    ("norse", {"dtype": "float64"}),
    ("norse", {"dtype": "float32"}),
    ("lava", {"mapping": "fused"}),
)


def make_network() -> OverTime:
    """The transformer in evaluation mode, single precision."""
    torch.manual_seed(2)
    network = OverTime(SpikeTransformer()).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(module.bias, 0.5)
    return network


def spikes_of(network: OverTime, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What every neuron sends, [T, B, ...], and the output."""
    found: dict[str, torch.Tensor] = {}

    def keep(name: str):
        return lambda module, args, y: found.update({name: y.reshape(*x.shape[:2], *y.shape[1:])})

    for name, module in network.module.named_modules():
        if isinstance(module, MultiLevelLIF):
            module.register_forward_hook(keep(name))
    with torch.no_grad():
        found["output"] = network(x)
    return found


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    network, x = make_network(), torch.rand(args.steps, args.samples, 3, 32, 32) * 2
    graph = nirbridge.export(network, (3, 32, 32))
    expected = spikes_of(network.double(), x.double())
    layers = [name for name in expected if name != "output"]
    total = sum(expected[name].numel() for name in layers)
    print(f"{sum(p.numel() for p in network.parameters())} parameters, {len(graph.nodes)} nodes, {total} spikes")
    states = nirbridge.runtimes()
    for runtime, options in RUNS:
        if not states[runtime].usable:
            print(f"{runtime}: {states[runtime].reason}")
            continue
        start = time.perf_counter()
        with nirbridge.compile(graph, runtime, **options) as program:
            found = program.run(x.numpy(), record=layers)
        wrong = {name: int((torch.as_tensor(found.records[name]) != expected[name]).sum()) for name in layers}
        first = next((f", first {count} in '{name}'" for name, count in wrong.items() if count), "")
        worst = float((torch.as_tensor(found.output) - expected["output"]).abs().max())
        kind = ", ".join((runtime, *map(str, options.values())))
        seconds = time.perf_counter() - start
        print(f"{kind}: {sum(wrong.values())} differ{first}; output off by {worst:.1e}; {seconds:.1f} s")


if __name__ == "__main__":
    main()
