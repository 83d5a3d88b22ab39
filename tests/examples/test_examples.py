"""Every example runs, on little data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nirbridge

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs an example as a user would; on one thread, with which networks as small as these are fastest."""
    command = [sys.executable, str(EXAMPLES / script), *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)


def test_every_example_is_tested() -> None:
    """``grid_training.py`` is what the two training scripts share."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "grid_training.py",
        "imagenet_network.py",  # test_imagenet_network.py
        "imagenet_pictures.py",
        "lava_network.py",  # in tests/lava/test_lava_embedded.py
        "loihi_chip.py",  # test_loihi_chip.py
        "loihi_nmnist.py",  # in tests/lava/test_lava_nmnist.py
        "networks.py",
        "sweep.py",  # test_sweep.py
        "train.py",  # tests/training/test_train_example.py
        "train_data.py",
        "nmnist.py",
        "recurrent_audio.py",
        "train_demo.py",
    }


def test_train_demo(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    done = run("train_demo.py", "--digits", "60", "--epochs", "1", "--out", str(tmp_path / "w.safetensors"))
    assert done.returncode == 0, done.stderr
    from safetensors.numpy import load_file

    weights = load_file(tmp_path / "w.safetensors")
    assert all((np.round(w * 64) == w * 64).all() for name, w in weights.items() if name.endswith("weight"))


def test_shipped_weights_are_on_the_grid() -> None:
    from safetensors.numpy import load_file

    from nirbridge.demo.network import WEIGHTS

    weights = load_file(WEIGHTS)
    assert all((np.round(w * 64) == w * 64).all() for name, w in weights.items() if name.endswith("weight"))


def test_nmnist_decides_alike_on_norse_and_lava(shared_data: Path, tmp_path: Path) -> None:
    if not nirbridge.runtimes()["lava"].usable:
        pytest.skip(nirbridge.runtimes()["lava"].reason)
    done = run("nmnist.py", str(shared_data / "nmnist-small"), "--epochs", "2", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "decisions that differ: 0" in done.stdout
    assert done.stdout.count(" 0 mismatches") == 2


def test_recurrent_audio_decides_alike_on_norse_and_lava(tmp_path: Path) -> None:
    options = ("--epochs", "1", "--samples", "40", "--compared", "2", "--out", str(tmp_path / "audio.nir"))
    done = run("recurrent_audio.py", *options)
    assert done.returncode == 0, done.stderr
    others = [name for name, runtime in nirbridge.runtimes().items() if runtime.usable and name != "reference"]
    for name in others:
        assert f"{name}: 0 spikes and 0 decisions differ" in done.stdout
    graph = nirbridge.read(tmp_path / "audio.nir")
    assert {("4", "4.feedback"), ("4.feedback", "4")} <= set(graph.edges)
    assert int(done.stdout.split("reference: ")[1].split()[0]) > 0


@pytest.mark.parametrize("network", ["mlp", "Residual"])
def test_networks_export_and_agree_with_torch(network: str) -> None:
    import torch

    import networks
    from nirbridge.neurons import OverTime

    torch.manual_seed(0)
    module = OverTime(getattr(networks, network)()).double().eval()
    x = torch.randint(0, 5, (5, 2, 2, 16, 16)).double()
    graph = nirbridge.export(module, (2, 16, 16))
    with nirbridge.compile(graph) as program, torch.no_grad():
        assert np.allclose(program.run(x.numpy()).output, module(x).numpy(), rtol=0, atol=1e-9)
