"""Records networks of snnTorch, spikingjelly and sinabs, and what these frameworks compute, for tests without them.

``python -m tests.exporting.peers.record`` writes ``recorded/FRAMEWORK.npz``, in an environment that has the frameworks
beside nirbridge: ``pip install --no-deps snntorch==1.0.0 spikingjelly==0.0.0.0.14 sinabs==3.1.3 pbr``.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from nirbridge.arrays import write_arrays
from tests.exporting.peers.networks import NETWORKS
from tests.exporting.peers.standins import Arrays, describe

RECORDED = Path(__file__).with_name("recorded")


def record(name: str) -> Arrays:
    """One network: its description, its data, and what its framework makes of them."""
    network = NETWORKS[name]
    arrays: Arrays = {}
    tree = describe(network.made(), arrays)
    with torch.no_grad():
        y = network.run(network.made(), network.data())
    return {**arrays, "tree": np.array(json.dumps(tree)), "y": y.numpy()}


def main() -> None:
    """Records all networks, a file for each framework."""
    RECORDED.mkdir(exist_ok=True)
    for package in sorted({network.package for network in NETWORKS.values()}):
        kept = {"version": np.array(version(package))}
        for name, network in NETWORKS.items():
            if network.package == package:
                kept |= {f"{name}|{key}": array for key, array in record(name).items()}
        write_arrays(RECORDED / f"{package}.npz", kept)


if __name__ == "__main__":
    main()
