"""Train the network of ``nirbridge demo`` and write the weights that ship with it.

    python examples/train_demo.py

Digits of scikit-learn are moved in front of the simulated event sensor; 1297 train, 500 test.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import numpy as np
import torch
from safetensors.torch import save

from grid_training import train
from nirbridge.demo.network import WEIGHTS, DemoNetwork
from nirbridge.demo.scene import TRAINING, digits, film, frames
from nirbridge.files import write_whole
from nirbridge.neurons import OverTime


@click.command()
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=WEIGHTS, help="Where the weights go.")
@click.option("--epochs", default=30, show_default=True, help="Passes over the training digits.")
@click.option("--digits", "count", default=1797, show_default=True, help="Use only the first digits.")
def main(out: Path, epochs: int, count: int) -> None:
    """Train the demo's network."""
    torch.manual_seed(0)
    images, labels = (array[:count] for array in digits())
    with click.progressbar(images, label="Filming", file=sys.stderr) as bar:
        x = torch.from_numpy(np.stack([frames(film(image)) for image in bar], axis=1))
    y = torch.from_numpy(labels)
    split = min(TRAINING, count * 3 // 4)
    network = OverTime(DemoNetwork())
    train(network, x[:, :split], y[:split], epochs, roll=1)
    with torch.inference_mode():
        right = (network(x[:, split:]).mean(0).argmax(1) == y[split:]).float().mean().item()
    write_whole(out, save({name: tensor.contiguous() for name, tensor in network.module.state_dict().items()}))
    print(f"{right:.1%} of {count - split} test digits right; wrote {out}")


if __name__ == "__main__":
    main()
