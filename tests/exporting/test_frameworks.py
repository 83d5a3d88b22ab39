"""Networks of snnTorch, spikingjelly and sinabs: the exported graph sends what the framework itself sends.

Each is judged by what its framework computed when it was recorded, and by what it computes now where it is installed.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import nn

import nirbridge
from nirbridge.arrays import read_arrays
from tests.exporting.peers.networks import NETWORKS
from tests.exporting.peers.record import RECORDED
from tests.exporting.peers.standins import rebuild

ROOT = Path(__file__).resolve().parents[2]
SPIKINGJELLY = "spikingjelly.activation_based"
DEVELOPMENT_FILES = {
    "neuron.integrate_and_fire": ("IFNode",),
    "neuron.lif": ("LIFNode",),
    "neuron.plif": ("ParametricLIFNode",),
    "layer.stateless_wrapper": ("Linear", "Conv2d", "MaxPool2d", "Flatten"),
    "layer.dropout": ("Dropout",),
    "layer.container": ("SeqToANNContainer", "MultiStepContainer"),
}
"""Where its main branch at afb13226 has the types of the recorded networks."""


@cache
def recorded(package: str) -> dict[str, np.ndarray]:
    found = read_arrays(RECORDED / f"{package}.npz")
    assert isinstance(found, dict)
    return found


def stand_in(name: str, homes: Mapping[str, str] = MappingProxyType({})) -> tuple[nn.Module, np.ndarray]:
    """A network of stand-ins, types of ``homes`` in other files, and what the framework computed."""
    start = f"{name}|"
    kept = {
        key[len(start) :]: array for key, array in recorded(NETWORKS[name].package).items() if key.startswith(start)
    }
    tree = kept["tree"].item()
    for before, after in homes.items():
        tree = tree.replace(f'"{before}"', f'"{after}"')
    return rebuild(json.loads(tree), kept), kept["y"]


def assert_same(module: nn.Module, name: str, expected: np.ndarray) -> None:
    network = NETWORKS[name]
    graph = nirbridge.export(module, network.shape)
    x = network.data().numpy()
    for runtime in ("reference", "norse"):
        with nirbridge.compile(graph, runtime, dt=1e-3) as program:
            output = program.run(x).output
        if "ExpLeak" in name:  # its values are analog
            np.testing.assert_allclose(output, expected, atol=1e-6)
        else:
            assert np.array_equal(output, expected), runtime
    assert len(np.unique(expected)) > 1


def test_every_network_is_recorded() -> None:
    kept = {key.split("|")[0] for one in ("snntorch", "spikingjelly", "sinabs") for key in recorded(one)} - {"version"}
    assert kept == set(NETWORKS)
    page = (ROOT / "docs/tutorials/bring_a_network.md").read_text(encoding="utf-8")
    assert f"compare {len(NETWORKS)} such networks" in page


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_sends_what_the_framework_sent(name: str) -> None:
    module, expected = stand_in(name)
    assert_same(module, name, expected)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("spikingjelly")])
def test_the_development_version_of_spikingjelly_has_the_same_in_files_of_their_own(name: str) -> None:
    homes = {
        f"{SPIKINGJELLY}.{file.partition('.')[0]}.{kind}": f"{SPIKINGJELLY}.{file}.{kind}"
        for file, kinds in DEVELOPMENT_FILES.items()
        for kind in kinds
    }
    module, expected = stand_in(name, homes)
    kinds = {type(inner) for inner in module.modules() if type(inner).__module__.startswith(SPIKINGJELLY)}
    assert {f"{SPIKINGJELLY}.{file}" for file in DEVELOPMENT_FILES} >= {kind.__module__ for kind in kinds}
    assert_same(module, name, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_graph_sends_what_the_framework_sends_now(name: str) -> None:
    network = NETWORKS[name]
    if not find_spec(network.package):
        pytest.skip(f"{network.package} is not installed")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # frameworks warn of old interfaces of torch
        expected = network.run(network.made(), network.data()).numpy()
        assert_same(network.made(), name, expected)
