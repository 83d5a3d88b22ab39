"""``nirbridge export``: SPEC, weights, the file it writes, and one line for whatever is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import nn

import nirbridge
from nirbridge.cli.export import command
from nirbridge.cli.group import Program
from nirbridge.errors import FileError, InputError, NirbridgeError
from nirbridge.neurons import MultiLevelLIF

MODEL = """
import torch
from torch import nn
from exporthelper import SIZE
from nirbridge.neurons import MultiLevelLIF


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(SIZE, 3)
        self.act = MultiLevelLIF(3)

    def forward(self, x):
        return self.act(self.fc(x))


def build():
    return Net()


READY = Net()
NUMBER = 3


class Nested:
    net = READY


def number():
    return 3


def fail():
    raise ValueError("no such\\nsize")


def leave():
    raise SystemExit(4)


def analog():
    return nn.Sequential(nn.Linear(SIZE, 3), nn.ReLU())


def needs(size):
    return nn.Linear(size, 3)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model of its own, in which the command runs; imports are undone."""
    (tmp_path / "exportmodel.py").write_text(MODEL)
    (tmp_path / "exporthelper.py").write_text("SIZE = 4\n")
    (tmp_path / "exportbroken.py").write_text("import nn_that_is_not_there\n")
    (tmp_path / "exportsyntax.py").write_text("def (:\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("export") and "." not in name]:
        del sys.modules[name]


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


@pytest.mark.parametrize("home", ["exportmodel", "exportmodel.py"])
@pytest.mark.parametrize("name", ["Net", "build", "READY", "Nested.net"])
def test_every_form_of_spec(folder: Path, home: str, name: str) -> None:
    result = _run(f"{home}:{name}", "-o", "net.nir", "--input-shape", "4")
    assert result.exit_code == 0, result.exception
    graph = nirbridge.read("net.nir")
    assert list(graph.nodes) == ["input", "fc", "act", "output"]
    assert result.stdout == ""
    assert result.stderr == "net.nir: 4 nodes, 3 edges, (4,) -> (3,)\n"


def test_a_file_elsewhere_by_its_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")
    result = _run(str(folder / "exportmodel.py:Net"), "-o", "net.nir", "--input-shape", "4")
    assert result.exit_code == 0, result.exception
    assert (folder / "work" / "net.nir").is_file()


def test_weights_are_those_of_the_file(folder: Path) -> None:
    torch.manual_seed(1)
    net = nn.ModuleDict({"fc": nn.Linear(4, 3), "act": MultiLevelLIF(3, threshold=0.5)}).double()
    save_file(net.state_dict(), folder / "w.safetensors")
    result = _run("exportmodel.py:Net", "-o", "net.nir", "--input-shape", "4", "--weights", "w.safetensors")
    assert result.exit_code == 0, result.exception
    graph = nirbridge.read("net.nir")
    np.testing.assert_array_equal(graph.nodes["fc"].weight, net["fc"].weight.detach().numpy())
    np.testing.assert_array_equal(graph.nodes["act"].lane_threshold, [0.5, 1.0, 2.0])


WRONG: dict[str, tuple[list[str], type[NirbridgeError], str]] = {
    "no colon": (["exportmodel.py"], InputError, "is not of the form home:callable"),
    "no callable": (["exportmodel.py:"], InputError, "is not of the form home:callable"),
    "missing file": (["none.py:Net"], FileError, "file 'none.py': does not exist"),
    "missing package": (["nowhere.models:Net"], InputError, "no module named 'nowhere'"),
    "missing name": (["exportmodel.py:Nett"], InputError, "has no 'Nett'. Did you mean 'Net'"),
    "missing import": (["exportbroken.py:Net"], InputError, "ModuleNotFoundError: No module named"),
    "syntax": (["exportsyntax.py:Net"], InputError, "raises SyntaxError"),
    "not callable": (["exportmodel.py:NUMBER"], InputError, "'NUMBER' is a int, not callable"),
    "no module": (["exportmodel.py:number"], InputError, "'number()' gives a int, not an nn.Module"),
    "raises": (["exportmodel.py:fail"], InputError, "raises ValueError: no such size at exportmodel.py:"),
    "leaves": (["exportmodel.py:leave"], InputError, "raises SystemExit: 4"),
    "needs arguments": (["exportmodel.py:needs"], InputError, "missing 1 required positional argument"),
    "shape": (["exportmodel.py:Net", "--input-shape", "4x4"], InputError, "'4x4' is not positive whole numbers"),
    "shape of 0": (["exportmodel.py:Net", "--input-shape", "0"], InputError, "'0' is not positive whole numbers"),
    "long shape": (["exportmodel.py:Net", "--input-shape", "9" * 5000], InputError, "is not positive whole numbers"),
    "wrong shape": (["exportmodel.py:Net", "--input-shape", "5"], NirbridgeError, "does not end with the 4 columns"),
    "analog": (["exportmodel.py:analog"], NirbridgeError, "Use 'nirbridge convert'"),
    "missing weights": (["exportmodel.py:Net", "--weights", "w.pt"], FileError, "file 'w.pt': does not exist"),
    "other suffix": (["exportmodel.py:Net", "-o", "net.onnx"], InputError, "ends with '.onnx'"),
    "dt": (["exportmodel.py:Net", "--dt", "-1"], InputError, "'dt': -1.0 is not a positive number"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_is_one_line_and_writes_nothing(folder: Path, name: str) -> None:
    arguments, kind, text = WRONG[name]
    (folder / "net.nir").write_bytes(b"what was here before")
    given = [*arguments]
    given += [] if "--input-shape" in arguments else ["--input-shape", "4"]
    given += [] if "-o" in arguments else ["-o", "net.nir"]
    result = _run(*given)
    assert isinstance(result.exception, kind), result.output
    assert text in str(result.exception)
    assert "\n" not in str(result.exception)
    assert (folder / "net.nir").read_bytes() == b"what was here before"
    whole = CliRunner().invoke(Program(), ["export", *given])
    assert whole.exit_code == 2
    assert "Traceback" not in whole.output
    assert not [path for path in folder.iterdir() if path.suffix == ".onnx" or path.name.startswith(".net")]


def test_help_shows_an_example_and_imports_no_torch() -> None:
    code = "import sys; from nirbridge.cli.export import command; command(['--help'], standalone_mode=False); "
    code += "print([name for name in ('torch', 'nir', 'norse', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "nirbridge export model.py:Net -o model.nir" in done.stdout
    assert done.stdout.endswith("[]\n")
