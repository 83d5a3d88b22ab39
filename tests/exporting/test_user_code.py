"""Code and weights of the user: whatever they do, one line names them, and the process goes on as it was."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nirbridge.errors import ExportError, FileError, InputError
from nirbridge.exporting import export, load_module, load_weights
from nirbridge.exporting.user_code import CodeExitError, user_code
from nirbridge.neurons import MultiLevelLIF

_EXITS = {
    "sys.exit(0)": "SystemExit: 0",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "raise GeneratorExit": "GeneratorExit",
    "raise BaseException('text')": "BaseException: text",
}


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), MultiLevelLIF(lanes=2))


@pytest.mark.parametrize(("code", "found"), _EXITS.items())
def test_exits_are_one_line_wherever_they_are(code: str, found: str, tmp_path: Path) -> None:
    head = "import sys\nfrom torch import nn\n"
    forward = f"class Net(nn.Module):\n    def forward(self, x):\n        {code}\n"
    for name, text in {"imported": code, "called": f"def Net():\n    {code}", "run": forward}.items():
        (tmp_path / f"{name}.py").write_text(head + text)
    with pytest.raises(InputError, match=rf"imported.py' raises {found} at imported.py:3"):
        load_module(f"{tmp_path}/imported.py:Net")
    with pytest.raises(InputError, match=rf"calling 'Net\(\)' raises {found} at called.py:4"):
        load_module(f"{tmp_path}/called.py:Net")
    with pytest.raises(ExportError, match=rf"module Net: forward cannot be traced at run.py:5: {found}"):
        export(load_module(f"{tmp_path}/run.py:Net"), (4,))


def test_ctrl_c_stays_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), user_code():
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(CodeExitError), user_code():
        raise KeyboardInterrupt


def test_forks_and_folders_stay_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    process = os.getpid()
    with user_code():
        child = os.fork()
        os.chdir("/")
    assert os.getpid() == process  # the child has ended with the block
    assert os.waitpid(child, 0)[1] == 0
    assert Path.cwd() == tmp_path


def test_meta_tensors_are_named() -> None:
    with torch.device("meta"):
        module = _network()
    with pytest.raises(
        ExportError, match=r"module '0' \(Linear\): holds parameters without values, on the meta device"
    ):
        export(module, (4,))


def test_weights_fill_meta_tensors(tmp_path: Path) -> None:
    save_file(_network().state_dict(), tmp_path / "w.safetensors")
    with torch.device("meta"):
        module = _network()
    load_weights(module, tmp_path / "w.safetensors")
    assert set(export(module, (4,)).nodes) == {"input", "0", "1", "output"}


@pytest.mark.parametrize("depth", [300, 2000])
def test_modules_nested_too_deeply_are_one_line(depth: int, tmp_path: Path) -> None:
    module = _network()
    for _ in range(depth):
        module = nn.Sequential(module)
    with pytest.raises(ExportError, match="module Sequential: .*nested too deeply for Python's limit"):
        export(module, (4,))
    if depth >= sys.getrecursionlimit():
        save_file(_network().state_dict(), tmp_path / "w.safetensors")
        with pytest.raises(ExportError, match="nested too deeply"):
            load_weights(module, tmp_path / "w.safetensors")


_GOOD = {"0.weight": torch.zeros(3, 4), "0.bias": torch.zeros(3), "1.threshold": torch.tensor(1.0)}
_STATES = {
    "sparse": (_GOOD | {"0.weight": torch.eye(3, 4).to_sparse()}, "sparse or nested tensors.*'0.weight'"),
    "meta": (_GOOD | {"0.bias": torch.empty(3, device="meta")}, "without values: '0.bias'"),
    "complex": (_GOOD | {"0.bias": torch.zeros(3, dtype=torch.complex64)}, r"'0.bias' is \(3,\) complex64"),
    "long": (_GOOD | {"x" * 10_000: torch.zeros(1)}, r"unexpected 'xxx.*\.\.\. Use"),
    "missing": ({"0.weight": torch.zeros(3, 4)}, "missing '0.bias'"),
}


@pytest.mark.parametrize(("state", "found"), _STATES.values(), ids=_STATES)
def test_odd_weights_are_one_short_line(state: dict[str, torch.Tensor], found: str, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(FileError, match=found) as error:
        load_weights(_network(), tmp_path / "w.pt")
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("cut", [0, 5, 40, -10])
def test_cut_safetensors_are_one_line(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_file(_GOOD, path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(FileError, match=r"is no readable \.safetensors file"):
        load_weights(_network(), path)
