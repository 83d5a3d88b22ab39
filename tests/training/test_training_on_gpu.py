"""Training on a GPU, in each precision: it learns, resumes, and its graph agrees with the runtimes on the CPU."""

import json

import pytest
import torch

import nirbridge
from tests.training.programs import digits_config, run

pytest.importorskip("sklearn")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")

RECIPES = {
    "m-lif": {"recipe": "direct", "neuron": {"name": "m-lif", "lanes": 3, "learn_threshold": True}},
    "hybrid": {"recipe": "hybrid", "analog_epochs": 4, "analog_learning_rate": 0.01},
    "lm-ht": {"recipe": "lm-ht", "levels": 4, "neuron": None},
    "sparse": {
        "recipe": "direct",
        "network": {"name": "sparse-resnet18", "width": 4},
        "neuron": {"name": "multi-level-if", "levels": 4},
    },
}


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("name", RECIPES)
def test_networks_train_and_agree(name, precision, tmp_path):
    changes = {"data": {"name": "digits"}, "epochs": 6, "batch": 50, "precision": precision, "learning_rate": 0.01}
    config = str(digits_config(tmp_path, **(changes | RECIPES[name])))
    done = run("--config", config, "--out", str(tmp_path / "out"), "--runtime", "norse", device="cuda")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert "norse: agrees with the reference" in done.stdout
    assert json.loads((tmp_path / "out" / "history.json").read_text())["epochs"][-1]["test"] > 0.6


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_run_resumes(precision, tmp_path):
    """Weights after 2 epochs at once, and with a stop after the first; float16 has its loss's scale to remember."""
    weights = []
    for name in ("whole", "parted"):
        folder = tmp_path / name
        folder.mkdir()
        config = str(digits_config(folder, precision=precision, check_samples=0))
        arguments = ("--config", config, "--out", str(folder / "out"))
        if name == "parted":
            assert run(*arguments, "--stop-after", "1", device="cuda").exit_code == 0
            arguments += ("--resume",)
        assert run(*arguments, device="cuda").exit_code == 0
        weights.append(nirbridge.read(folder / "out" / "model.nir"))
    for a, b in zip(*(graph.nodes.values() for graph in weights), strict=True):
        assert type(a) is type(b)
        if hasattr(a, "weight"):
            torch.testing.assert_close(torch.as_tensor(a.weight), torch.as_tensor(b.weight), rtol=1e-3, atol=1e-4)
