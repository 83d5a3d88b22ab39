"""Runs the program that ``expand`` prints for a platform, in a process of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nirbridge
from nirbridge.errors import UnsupportedError
from nirbridge.expanding import Reached, reach
from nirbridge.expanding.reach import write_reached
from tests.expanding.targets.networks import NETWORKS, data

Array = NDArray[Any]
PACKAGES = {
    "nirtorch": "nirtorch",
    "norse": "norse.torch",
    "rockpool": "rockpool.nn.modules.torch.nir",
    "sinabs": "sinabs.nir",
    "snntorch": "snntorch.import_nir",
    "spikingjelly": "spikingjelly.activation_based.nir_exchange",
}
"""What each platform that is run here has to bring."""
RECORDED = Path(__file__).with_name("recorded")
_LAUNCH = """\
import importlib, runpy, sys, numpy, torch
sys.path.append(sys.argv[1])
try:
    importlib.import_module(sys.argv[2])
except Exception as error:
    print(" ".join(str(error).split()))
    sys.exit(3)
for file in sys.argv[3:]:
    run = runpy.run_path(file)["run"]
    x = torch.as_tensor(numpy.load(file[:-3] + ".npy"))
    numpy.save(file[:-3] + "_output.npy", run(x).numpy())
"""


class MissingPeerError(Exception):
    """The platform is not installed, in words."""


def reached_by(target: str) -> dict[str, Reached]:
    """What the platform gets of each network that it can run."""
    found = {}
    for name, build in NETWORKS.items():
        try:
            found[name] = reach(build(), target)
        except UnsupportedError:
            continue
    return found


def outputs_of(target: str, folder: Path) -> dict[str, Array]:
    """What the platform computes for every network that it can run, by its own importer.

    Platforms that are not installed may lie in the folder that NIRBRIDGE_PEERS names.

    Raises:
        MissingPeerError: the platform is not there.
        RuntimeError: its importer or its run failed.
    """
    peers, package = os.environ.get("NIRBRIDGE_PEERS", ""), PACKAGES[target].split(".")[0]
    if not find_spec(package) and not (peers and (Path(peers) / package).is_dir()):
        raise MissingPeerError(f"{package} is not installed; see NIRBRIDGE_PEERS in record.py")
    files = []
    networks = reached_by(target)
    for number, (name, reached) in enumerate(networks.items()):
        file = folder / f"{target}{number}"
        write_reached(file.with_suffix(".nir"), reached)
        np.save(file.with_suffix(".npy"), data(name, NETWORKS[name]()).astype(np.float32))
        # The name of the file is no module's: it stands on the import path.
        files.append(file.with_suffix(".py"))
        files[-1].write_text(reached.code(str(file.with_suffix(".nir"))), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", _LAUNCH, peers, PACKAGES[target], *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    if done.returncode == 3:
        raise MissingPeerError(f"{target} cannot be imported ({done.stdout.strip()}); see NIRBRIDGE_PEERS")
    if done.returncode:
        raise RuntimeError(done.stderr)
    return {name: np.load(str(file)[:-3] + "_output.npy") for name, file in zip(networks, files, strict=True)}


def expected(name: str) -> Array:
    """What the network itself gives on the reference."""
    graph = NETWORKS[name]()
    with nirbridge.compile(graph, dt=1e-3) as program:
        output: Array = program.run(data(name, graph)).output
    return output


def digest(reached: Reached) -> str:
    """Of all that the platform gets: a recording is of no other file and no other program."""
    found = hashlib.sha256(reached.code("").encode())
    for name, node in sorted(reached.graph.nodes.items()):
        found.update(f"{name} {type(node).__name__}".encode())
        for field, value in sorted(vars(node).items()):
            if isinstance(value, np.ndarray):
                found.update(field.encode() + np.ascontiguousarray(value).tobytes())
    found.update(repr(sorted(map(tuple, reached.graph.edges))).encode())
    return found.hexdigest()


def differing(output: Array, wanted: Array) -> int:
    """Values that are not equal: all of them are dyadic numbers that single precision holds."""
    return int((output.reshape(wanted.shape) != wanted).sum())
