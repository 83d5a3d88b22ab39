"""A recurrent network on spikes of 700 channels, as a cochlea sends them: trained, exported, equal on three runtimes.

    python examples/recurrent_audio.py --out audio.nir

The data are made here: a tone that slides over the channels, up, down, up and down, or down and up.  Counted over time
all four have about the same channels, so only a network that remembers can tell them apart.  A convolution over the
channels and a layer whose spikes come back to it a step later, ``nirbridge.neurons.Recurrent``, learn it by
backpropagation through time.  Recordings such as those of SHD and SSC (Cramer et al. 2020, 700 channels) take the
place of ``slides``.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import click
import numpy as np
import torch
from torch import Tensor, nn

import nirbridge
from grid_training import train
from nirbridge.neurons import MultiLevelLIF, OverTime, Recurrent

CHANNELS, STEPS, CLASSES = 700, 24, 4
SPREAD, NOISE = 12.0, 0.002
"""Width of a tone in channels, and share of channels that send a spike of their own at each step."""


def slides(samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Spikes [T, samples, 1, 700] and what each tone does, 0 to 3."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, samples)
    way = np.linspace(0, 1, STEPS)
    there_and_back = 1 - np.abs(2 * way - 1)
    paths = np.stack([way, 1 - way, there_and_back, 1 - there_and_back])[labels]
    low, high = rng.uniform(50, 250, (samples, 1)), rng.uniform(450, 650, (samples, 1))
    centres = (low + (high - low) * paths).T[..., None]
    rate = 0.6 * np.exp(-(((np.arange(CHANNELS) - centres) / SPREAD) ** 2)) + NOISE
    spikes = rng.random(rate.shape) < rate
    return torch.from_numpy(spikes.astype(np.float32))[:, :, None], torch.from_numpy(labels)


def network(hidden: int = 48) -> nn.Module:
    """Conv1d over the channels, a recurrent layer, and a readout; over [T, B, 1, 700].

    Membranes do not leak, so that sums of weights on the grid are exact in single precision too.
    """
    return OverTime(
        nn.Sequential(
            nn.Conv1d(1, 6, 25, stride=10, bias=False),
            MultiLevelLIF(lanes=2, threshold=0.5),
            nn.Flatten(),
            nn.Linear(6 * 68, hidden, bias=False),
            Recurrent(MultiLevelLIF(lanes=2, threshold=0.5), nn.Linear(hidden, hidden, bias=False)),
            nn.Linear(hidden, CLASSES, bias=False),
        )
    )


def decided(graph: Path, runtime: str, x: np.ndarray, record: str) -> tuple[np.ndarray, np.ndarray]:
    """The decisions [samples] of a graph file on one runtime, and the spikes of a layer."""
    with nirbridge.compile(nirbridge.read(graph), runtime) as program:
        result = program.run(x, record=[record])
    return result.output.mean(0).argmax(-1), result.records[record]


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default="audio.nir", help="The graph file.")
@click.option("--epochs", default=12, show_default=True, help="Passes over the training data.")
@click.option("--samples", default=480, show_default=True, help="Training samples; half as many again test.")
@click.option("--compared", default=8, show_default=True, help="Test samples that all runtimes run.")
def main(out: Path, epochs: int, samples: int, compared: int) -> None:
    """Train, export, and run on every runtime that is installed."""
    torch.manual_seed(0)
    net, started = network(), perf_counter()
    train(net, *slides(samples, seed=1), epochs, roll=2)
    seconds = perf_counter() - started
    x, labels = slides(samples // 2, seed=2)
    with torch.inference_mode():
        right = (net(x).mean(0).argmax(1) == labels).float().mean().item()
    print(f"trained in {seconds:.0f} s; {right:.1%} of {len(labels)} test tones right, by chance {1 / CLASSES:.0%}")
    nirbridge.write(out, nirbridge.export(net, (1, CHANNELS)))
    some = x[:, :compared].numpy()
    chosen, spikes = decided(out, "reference", some, "4")
    print(f"reference: {int((spikes != 0).sum())} spikes of the recurrent layer, node '4' of {out}")
    for name, runtime in nirbridge.runtimes().items():
        if name == "reference" or not runtime.usable:
            continue
        theirs, sent = decided(out, name, some, "4")
        print(f"{name}: {int((sent != spikes).sum())} spikes and {int((theirs != chosen).sum())} decisions differ")


if __name__ == "__main__":
    main()
