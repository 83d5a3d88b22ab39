"""Several inputs on the command line: a shape for each in export, a file for each in run, compare, energy and plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from tests.cli.conftest import Invoke, assert_one_line, small_graph

MODEL = """
import torch
from torch import nn

from nirbridge.neurons import MultiLevelLIF


class Fusion(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.act = nn.Linear(4, 3), nn.Linear(2, 3), MultiLevelLIF(lanes=2)

    def forward(self, left, right):
        return self.act(torch.cat([self.a(left), self.b(right)], dim=-1))
"""


@pytest.fixture
def invoke() -> Invoke:
    def run(*arguments: object) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def fusion(tmp_path: Path, invoke: Invoke) -> Path:
    code, graph = tmp_path / "fusion.py", tmp_path / "fusion.nir"
    code.write_text(MODEL, encoding="utf-8")
    shapes = ("--input-shape", "left=4", "--input-shape", "right=2")
    result = invoke("export", f"{code}:Fusion", "-o", graph, *shapes)
    assert result.exit_code == 0, result.output
    assert "(4,), (2,) -> (6,)" in result.stderr
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", 4 * rng.random((6, 2, 4)))
    np.save(tmp_path / "y.npy", 4 * rng.random((6, 2, 2)))
    np.save(tmp_path / "one.npy", 4 * rng.random((6, 2)))
    np.savez(tmp_path / "both.npz", left=np.load(tmp_path / "x.npy"), right=np.load(tmp_path / "y.npy"))
    return graph


def given(folder: Path, *files: str) -> list[str]:
    return [text for file in files for text in ("-i", file.replace("=", f"={folder}/"))]


def test_a_file_for_each_input_is_one_file_for_both(fusion: Path, tmp_path: Path, invoke: Invoke) -> None:
    files = given(tmp_path, "left=x.npy", "right=y.npy")
    assert invoke("run", fusion, *files, "-o", tmp_path / "apart.npz").exit_code == 0
    assert invoke("run", fusion, "-i", tmp_path / "both.npz", "-o", tmp_path / "whole.npz").exit_code == 0
    apart, whole = np.load(tmp_path / "apart.npz")["output"], np.load(tmp_path / "whole.npz")["output"]
    assert np.array_equal(apart, whole)
    data = {"left": np.load(tmp_path / "x.npy"), "right": np.load(tmp_path / "y.npy")}
    with nirbridge.compile(nirbridge.read(fusion)) as program:
        assert np.array_equal(program.run(data).output, apart)
    assert np.any(apart)


def test_compare_energy_and_plot_take_them_too(fusion: Path, tmp_path: Path, invoke: Invoke) -> None:
    files = given(tmp_path, "left=x.npy", "right=y.npy")
    compared = invoke("compare", fusion, *files, "--runtimes", "reference,norse")
    assert compared.exit_code == 0, compared.output
    energy = invoke("energy", fusion, *files, "--input-kind", "analog", "--json")
    assert json.loads(energy.stdout)["file"] == str(fusion)
    plotted = invoke("plot", fusion, *files, "--record", "act", "-o", tmp_path / "act.png")
    assert plotted.exit_code == 0, plotted.output


def test_one_sample_without_a_batch_axis(fusion: Path, tmp_path: Path, invoke: Invoke) -> None:
    np.save(tmp_path / "flat.npy", np.ones((6, 4)))
    result = invoke("run", fusion, *given(tmp_path, "left=flat.npy", "right=one.npy"))
    assert result.exit_code == 0, result.output
    assert result.stderr.count("counts as 6 steps of one sample") == 2


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (("left=x.npy",), "data for ['left'], but the inputs are ['left', 'right']"),
        (("left=x.npy", "right=x.npy"), "x.npy', input for node 'right' (Input): shape (6, 2, 4)"),
        (("left=x.npy", "left=y.npy"), "input 'left': is given twice"),
        (("left=x.npy", "wrong=y.npy"), "data for ['left', 'wrong']"),
        (("left=x.npy", "right=none.npy"), "none.npy': does not exist"),
        (("left=x.npy", "right=both.npz"), "both.npz': names its arrays itself"),
        (("left=x.npy", "y.npy"), "file 'y.npy': has no name beside files that have one"),
        (("x.npy", "y.npy"), "is one of several without a name"),
    ],
)
def test_files_that_do_not_fit(fusion: Path, tmp_path: Path, invoke: Invoke, files: tuple[str, ...], text: str) -> None:
    result = invoke("run", fusion, *given(tmp_path, *files))
    assert_one_line(result, text)


@pytest.mark.parametrize("shapes", [("left=4", "2"), ("4", "2"), ("left=4", "left=2"), ("left=x",)])
def test_shapes_that_do_not_fit(shapes: tuple[str, ...], tmp_path: Path, invoke: Invoke) -> None:
    options = [text for shape in shapes for text in ("--input-shape", shape)]
    assert_one_line(invoke("export", "m.py:M", "-o", tmp_path / "g.nir", *options), "option '--input-shape'")


def test_a_file_whose_name_holds_an_equals_sign(tmp_path: Path, invoke: Invoke) -> None:
    nirbridge.write(tmp_path / "model.nir", small_graph())
    np.save(tmp_path / "seed=1.npy", np.ones((6, 2, 4)))
    assert invoke("run", tmp_path / "model.nir", "-i", tmp_path / "seed=1.npy").exit_code == 0
