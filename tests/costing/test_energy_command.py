"""nirbridge energy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nirbridge
from nirbridge.cli import main
from tests.costing.test_report import X, small


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    nirbridge.write(tmp_path / "model.nir", small())
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "model.nir", tmp_path / "x.npy"


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["energy", *map(str, arguments)])


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 2, result.output
    assert len(result.stderr.splitlines()) == 1
    for part in parts:
        assert part in result.stderr


def test_the_table_goes_to_stdout(files: tuple[Path, Path]) -> None:
    result = invoke(files[0], "-i", files[1])
    assert result.exit_code == 0, result.output
    assert result.stdout == nirbridge.energy(small(), X).table() + "\n"
    assert result.stderr == ""


@pytest.mark.parametrize("model", ["m-lif", "one-spike", "memory"])
def test_json_holds_the_report(files: tuple[Path, Path], model: str) -> None:
    result = invoke(files[0], "-i", files[1], "--model", model, "--bits", "8", "--input-kind", "events", "--json")
    assert result.exit_code == 0, result.output
    data = json.loads(result.stdout)
    assert data.pop("file") == str(files[0])
    report = nirbridge.energy(small(), X, model=model, bits=8, input_kind="events")
    assert data == json.loads(json.dumps(report.to_dict()))


def test_the_picture_is_written_beside_the_table(files: tuple[Path, Path], tmp_path: Path) -> None:
    picture = tmp_path / "energy.png"
    result = invoke(files[0], "-i", files[1], "--plot", picture, "--inferences", "3")
    assert result.exit_code == 0, result.output
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert result.stderr == f"wrote {picture}\n"


def test_bad_input_is_one_line_and_leaves_no_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    graph, data = files
    before = sorted(tmp_path.iterdir())
    np.save(data, X[:, :, :1])
    refused(invoke(graph, "-i", data, "--plot", tmp_path / "a.png"), f"file '{data}'", "expected [T, B, 2, 6, 6]")
    refused(invoke(graph, "-i", tmp_path / "none.npy"), "does not exist")
    refused(invoke(tmp_path / "none.nir", "-i", data), "none.nir")
    refused(invoke(graph, "-i", data, "--plot", tmp_path / "a.svg"), "expected '.png'")
    refused(invoke(graph, "-i", data, "--runtime", "loihi9"), "loihi9")
    assert sorted(tmp_path.iterdir()) == before
    unknown = invoke(graph, "-i", data, "--model", "joules")
    assert unknown.exit_code == 2
    assert "'joules' is not one of" in unknown.stderr


def test_help_loads_neither_torch_nor_nir() -> None:
    code = "import sys; from nirbridge.cli import main\ntry: main(['energy', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'nir', 'matplotlib', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Example:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_package_loads_neither_torch_nor_matplotlib() -> None:
    code = "import sys, nirbridge.costing; print(sorted({'torch', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
