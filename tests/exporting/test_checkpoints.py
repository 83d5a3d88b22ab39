"""Weights from files: exact, every key, and no code of the file is ever run."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nirbridge.errors import ExportError, FileError
from nirbridge.exporting import load_weights
from nirbridge.neurons import MultiLevelLIF


def _net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), MultiLevelLIF(2, learn_decay=True))


def _other() -> nn.Sequential:
    torch.manual_seed(7)
    net = _net()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.rand_like(parameter))
    return net


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    saved, path = _other().to(dtype).state_dict(), tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(saved, path)
    net = _net()
    load_weights(net, path)
    for name, value in net.state_dict().items():
        torch.testing.assert_close(value, saved[name], rtol=0, atol=0)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_a_state_dict_inside_of_a_training_checkpoint(tmp_path: Path, wrapper: str) -> None:
    torch.save({wrapper: _other().state_dict(), "epoch": 3, "loss": 0.25}, tmp_path / "run.pt")
    net = _net()
    load_weights(net, tmp_path / "run.pt")
    torch.testing.assert_close(net[0].weight, _other()[0].weight, rtol=0, atol=0)


class _Trap:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def _zip_trap(path: Path, trap: _Trap) -> None:
    torch.save({"0.weight": trap}, path)
    assert zipfile.is_zipfile(path)


TRAPS: dict[str, Any] = {
    "pickle.pt": lambda path, trap: path.write_bytes(pickle.dumps(trap)),
    "pickle.pth": lambda path, trap: path.write_bytes(pickle.dumps({"0.weight": trap}, protocol=2)),
    "pickle.safetensors": lambda path, trap: path.write_bytes(pickle.dumps(trap)),
    "archive.pt": _zip_trap,
    "legacy.pt": lambda path, trap: torch.save(trap, path, _use_new_zipfile_serialization=False),
    "archive.safetensors": _zip_trap,
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_pickle_in_disguise_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    sprung, path = tmp_path / "sprung", tmp_path / name
    TRAPS[name](path, _Trap(sprung))
    with pytest.raises(FileError) as caught:
        load_weights(_net(), path)
    assert str(caught.value).startswith(f"file '{path}': ")
    assert "\n" not in str(caught.value)
    assert not sprung.exists()


def test_the_trap_works_where_nothing_guards(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(_Trap(tmp_path / "sprung")))
    assert (tmp_path / "sprung").exists()


def _state(**changes: Any) -> dict[str, Any]:
    state = {**_other().state_dict(), **changes}
    return {key: value for key, value in state.items() if value is not None}


BROKEN: dict[str, tuple[str, Any, str]] = {
    "missing file": ("none.pt", None, "does not exist"),
    "foreign suffix": ("weights.bin", b"x", "ends with '.bin'"),
    "empty": ("weights.pt", b"", "no"),
    "empty safetensors": ("weights.safetensors", b"", "is no readable .safetensors file"),
    "text": ("weights.safetensors", b"these are not weights, but words", "is no readable .safetensors file"),
    "text as torch": ("weights.pt", b"these are not weights, but words", "file"),
    "missing key": ("w.pt", _state(**{"0.bias": None}), "missing '0.bias'"),
    "extra key": ("w.pt", _state(extra=torch.zeros(1)), "unexpected 'extra'"),
    "shape": ("w.pt", _state(**{"0.weight": torch.zeros(3, 5)}), "'0.weight' is (3, 5) float32, the module has (3, 4)"),
    "dtype": ("w.pt", _state(**{"0.weight": torch.zeros(3, 4, dtype=torch.int8)}), "'0.weight' is (3, 4) int8"),
    "a tensor": ("w.pt", torch.zeros(3), "holds no dictionary of tensors"),
    "numbers": ("w.pt", {"0.weight": 3}, "holds no dictionary of tensors"),
    "other network": ("w.pt", nn.Linear(2, 2).state_dict(), "and 5 more; unexpected 'weight', 'bias'"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_named(tmp_path: Path, name: str) -> None:
    file, content, text = BROKEN[name]
    path = tmp_path / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    net = _net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(FileError) as caught:
        load_weights(net, path)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    for key, value in net.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_a_truncated_file(tmp_path: Path) -> None:
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"weights{suffix}"
        (save_file if suffix == ".safetensors" else torch.save)(_other().state_dict(), path)
        path.write_bytes(path.read_bytes()[:-60])
        with pytest.raises(FileError, match="no readable|no torch file"):
            load_weights(_net(), path)


def test_a_lazy_module_is_told_to_run_first(tmp_path: Path) -> None:
    save_file(nn.Linear(4, 3).state_dict(), tmp_path / "weights.safetensors")
    with pytest.raises(ExportError, match="module LazyLinear: has no weights yet. Run the module once on data"):
        load_weights(nn.LazyLinear(3), tmp_path / "weights.safetensors")
