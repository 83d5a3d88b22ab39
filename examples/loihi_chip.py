"""What Loihi itself computed, against precision "fixed" on every runtime: each spike and each membrane of every step.

    python examples/loihi_chip.py ../shared/data/loihi-chip

The folder holds ``recorded.npz``: a network of 250-25-1 current-based neurons over 500 steps, its 8-bit weights, its
input, and what Loihi recorded: all spikes, and the membranes of hidden neuron 24 and of the output neuron.  Two things
of the chip are not arithmetic: an axon takes a step, so spikes were recorded one step later for each layer, and where a
neuron fired its register reads 128, the flag of its refractory time, instead of 0.  The script ends with exit code 1 if
anything else differs.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import click
import nir
import numpy as np
from numpy.typing import NDArray

import loihi_nmnist
import nirbridge
from nirbridge.ir import build_graph

RUNS = {"reference": {}, "norse": {}, "lava fused": {"mapping": "fused"}, "lava processes": {"mapping": "processes"}}
"""What is compared → options of the runtime named first."""
WATCHED, REFRACTORY = 24, 128
Array = NDArray[np.int64]


def make_graph(recorded: dict[str, NDArray[np.generic]]) -> nir.NIRGraph:
    """The network in NIR, with weights as Loihi's synapses add them to a current."""
    first, second = (recorded[name].astype(np.int64) * loihi_nmnist.WEIGHT_SCALE for name in ("weight1", "weight2"))
    nodes: dict[str, nir.NIRNode] = {
        "input": nir.Input(np.array([first.shape[1]])),
        "fc1": nir.Linear(first),
        "hidden": loihi_nmnist.neuron(len(first)),
        "fc2": nir.Linear(second),
        "out": loihi_nmnist.neuron(len(second)),
        "output": nir.Output(None),
    }
    return build_graph(nodes, list(pairwise(nodes)))


def run(graph: nir.NIRGraph, spikes: NDArray[np.generic], name: str) -> dict[str, Array]:
    """(steps, neurons) of what each layer sends and of its membranes, on one of ``RUNS``."""
    with nirbridge.compile(graph, name.split()[0], precision="fixed", dt=1e-3, **RUNS[name]) as program:
        records = program.run(spikes[:, None], ["hidden", "hidden:v", "out", "out:v"]).records
    return {node: values[:, 0] for node, values in records.items()}


def differences(found: dict[str, Array], recorded: dict[str, NDArray[np.generic]]) -> dict[str, tuple[int, int]]:
    """(values that differ, values compared) of each thing that was recorded."""
    pairs = {
        "hidden spikes": (found["hidden"][:-1], recorded["hidden_spikes"][1:]),
        "output spikes": (found["out"][:-2], recorded["output_spikes"][2:]),
        "hidden membrane": as_read(found, "hidden", WATCHED, recorded["hidden_membrane_24"]),
        "output membrane": as_read(found, "out", 0, recorded["output_membrane"], late=1),
    }
    return {name: (int((ours != theirs).sum()), ours.size) for name, (ours, theirs) in pairs.items()}


def as_read(
    found: dict[str, Array], layer: str, neuron: int, register: NDArray[np.generic], late: int = 0
) -> tuple[Array, NDArray[np.generic]]:
    """A membrane with the flag where the neuron fired, and the chip's register at the same steps."""
    ours = found[f"{layer}:v"][:, neuron] + REFRACTORY * found[layer][:, neuron]
    return ours[: len(register) - late], register[late:]


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(folder: Path) -> None:
    """Runs the network on each runtime and compares."""
    with np.load(folder / "recorded.npz") as stored:
        recorded = dict(stored)
    graph, wrong = make_graph(recorded), 0
    for name in RUNS:
        counts = differences(run(graph, recorded["input_spikes"], name), recorded)
        wrong += sum(different for different, _ in counts.values())
        click.echo(f"{name:15}" + ", ".join(f"{what} {d} of {n:,} differ" for what, (d, n) in counts.items()))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
