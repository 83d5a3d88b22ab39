"""``nirbridge convert`` as a user meets it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from nirbridge.converting import convert_in_full
from nirbridge.ir import MultiLevelLIF, PhaseIF, graphs_equal
from tests.converting.networks import Cnn

MODEL = """
import torch
from torch import nn
from nirbridge.neurons import QCFS

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))

def bad():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.Tanh())

def quantised():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), QCFS(4, 1.0), nn.Linear(8, 3))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "convertible.py").write_text(MODEL)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((10, 1, 8, 8)))
    np.save(tmp_path / "zero.npy", np.zeros((10, 1, 8, 8)))
    (tmp_path / "text.npy").write_text("1 2 3")
    np.save(tmp_path / "flat.npy", np.ones((10, 5)))
    np.save(tmp_path / "number.npy", np.array(3.0))
    np.save(tmp_path / "from_one.npy", np.full(10, 3))
    return tmp_path


def convert(folder: Path, name: str, *arguments: object, data: str = "x.npy") -> Result:
    fixed = ["convert", f"{folder}/convertible.py:{name}", "--data", folder / data, "-o", folder / "out.nir"]
    return CliRunner().invoke(main, [str(argument) for argument in (*fixed, *arguments)])


def test_the_report_is_of_samples_held_back(folder: Path) -> None:
    """A line a layer, and accuracies where labels are given; of ten samples two are a quarter."""
    np.save(folder / "y.npy", np.zeros(10, dtype=int))
    result = convert(
        folder, "net", "--report", folder / "r.json", "--labels", folder / "y.npy", "--runtime", "reference"
    )
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert "measuring 2 samples that were held back, on reference" in lines
    header = next(number for number, line in enumerate(lines) if line.startswith("layer "))
    report = json.loads((folder / "r.json").read_text())
    assert [line.split()[0] for line in lines[header + 1 :][: len(report["layers"])]] == [
        layer["name"] for layer in report["layers"]
    ]
    assert report["samples"] == 2
    assert report["accuracy"] in (0, 0.5, 1)
    wrong = convert(folder, "net", "--report", folder / "r.json", "--samples", 10)
    assert wrong.exit_code == 2
    assert "option '--samples': 10 of 10 samples would be held back" in wrong.stderr


def test_writes_a_graph_that_runs(folder: Path) -> None:
    result = convert(folder, "net", "--phases", 12, "--base", 1.35, "--wait", 8, "--weight-bits", 8)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "phases 12, wait 8, base 1.35, spikes 1, weight_bits 8" in result.stderr
    assert "calibration" in result.stderr
    graph = nirbridge.read(folder / "out.nir")
    (neuron,) = (node for node in graph.nodes.values() if type(node) is PhaseIF)
    assert (neuron.phases, neuron.wait, neuron.base_out) == (12, 8, 1.35)
    assert nirbridge.check(graph) == []
    with nirbridge.compile(graph) as program:
        assert program.run(np.load(folder / "x.npy")[None]).output.shape == (12, 10, 3)


def test_the_file_equals_what_the_library_gives(folder: Path) -> None:
    torch.manual_seed(3)
    net = Cnn()
    torch.save(net.state_dict(), folder / "w.pt")
    (folder / "convertible.py").write_text("from tests.converting.networks import Cnn\n")
    result = convert(folder, "Cnn", "--weights", folder / "w.pt", "--bn", "weights", "--base", "auto")
    assert result.exit_code == 0, result.output
    expected = convert_in_full(net, np.load(folder / "x.npy"), bn="weights").graph
    assert graphs_equal(nirbridge.read(folder / "out.nir"), expected)


def test_report_and_plot(folder: Path) -> None:
    arguments = ("--report", folder / "r.json", "--plot", folder / "r.png", "--samples", 6)
    result = convert(folder, "net", *arguments, "--runtime", "reference")
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "r.json").read_text())
    assert report["samples"] == 6
    assert report["runtime"] == "reference"
    assert report["layers"][0]["name"] == "1"
    assert (folder / "r.png").read_bytes().startswith(b"\x89PNG")
    assert "same answer for" in result.stderr


def test_a_blank_sample_is_judged_like_others(folder: Path) -> None:
    samples = np.load(folder / "x.npy")
    samples[0] = 0
    np.save(folder / "blank.npy", samples)
    result = convert(folder, "net", "--report", folder / "r.json", "--samples", 1, data="blank.npy")
    assert result.exit_code == 0, result.output


def test_qcfs(folder: Path) -> None:
    result = convert(folder, "quantised", "--method", "qcfs", "--steps", 2)
    assert result.exit_code == 0, result.output
    kinds = [type(node) for node in nirbridge.read(folder / "out.nir").nodes.values()]
    assert kinds.count(MultiLevelLIF) == 1


def test_warnings_name_the_layer(folder: Path) -> None:
    result = convert(folder, "net", "--phases", 4, "--base", 1.2)
    assert result.exit_code == 0
    assert "Warning: layer '1' (PhaseIF): 4 phases of base 1.2 end at" in result.stderr


@pytest.mark.parametrize(
    ("name", "data", "arguments", "expected"),
    [
        ("bad", "x.npy", (), "module '2' (Tanh)"),
        ("net", "zero.npy", (), "zero.npy': is all zero"),
        ("net", "flat.npy", (), "module '0' (Conv2d)"),
        ("net", "missing.npy", (), "missing.npy': does not exist"),
        ("net", "x.npy", ("--base", "huge"), "option 'base': 'huge'"),
        ("net", "x.npy", ("--wait", 99), "option 'wait'"),
        ("net", "x.npy", ("--steps", 2), "option 'steps'"),
        ("net", "x.npy", ("--samples", 0), "option '--samples'"),
        ("net", "x.npy", ("--mean", "a,b"), "option '--mean'"),
        ("net", "x.npy", ("--report", "r.txt"), "ends with '.txt', expected '.json'"),
        ("net", "x.npy", ("--runtime", "nowhere", "--report", "{folder}/r.json"), "runtime 'nowhere'"),
        ("net", "x.npy", ("--runtime", "nowhere"), "option '--runtime': is for the report, which is not asked for"),
        ("net", "x.npy", ("--samples", 5), "option '--samples': is for the report, which is not asked for"),
        ("net", "text.npy", (), "x of shape [N, *shape]"),
        ("net", "number.npy", ("--report", "{folder}/r.json"), "number.npy': has shape (), expected [N, *shape]"),
        (
            "net",
            "x.npy",
            ("--report", "{folder}/r.json", "--labels", "{folder}/from_one.npy"),
            "class 3 is not within 0..2",
        ),
        ("nothing", "x.npy", (), "has no 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(
    folder: Path, name: str, data: str, arguments: tuple[object, ...], expected: str
) -> None:
    before = sorted(path.name for path in folder.iterdir())
    result = convert(folder, name, *(str(a).format(folder=folder) for a in arguments), data=data)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert expected in errors[0]
    assert "Traceback" not in result.output
    after = sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")
    assert after == before


def test_a_wrong_runtime_is_found_before_the_conversion(folder: Path) -> None:
    result = convert(folder, "net", "--plot", folder / "r.png", "--runtime", "nors")
    assert result.exit_code == 2
    assert "runtime 'nors'" in result.stderr
    assert "reading the network" not in result.stderr


def test_input_that_is_cut_off_is_told(folder: Path) -> None:
    result = convert(folder, "net", "--input-scale", 0.5)
    assert result.exit_code == 0, result.output
    share = (np.load(folder / "x.npy") > 0.5).mean()
    assert f"Warning: input 'input': {share:.2%} of its values are above input_scale 0.5" in result.stderr
    assert "cut off" not in convert(folder, "net", "--input-scale", 1.5).stderr


def test_an_existing_file_survives_a_failure(folder: Path) -> None:
    (folder / "out.nir").write_text("mine")
    assert convert(folder, "bad").exit_code == 2
    assert (folder / "out.nir").read_text() == "mine"
