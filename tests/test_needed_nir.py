"""An old or missing nir, which other packages cause, is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_HINT = "Run: pip install 'nir>=1.0.8,<2'."
_MISSING = 'raise ModuleNotFoundError("No module named \'nir\'", name="nir")'
_NEWER = "version = '1.0.9'\nclass NIRGraphData: ..."


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, timeout=60)


def _nir(folder: Path, source: str) -> Path:
    (folder / "nir").mkdir()
    (folder / "nir" / "__init__.py").write_text(source)
    return folder


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("__version__ = version = '1.0.4'", "is version 1.0.4"),
        ("", "is version of unknown number"),
        (_MISSING, "is not installed, 1.0.8 or newer is needed"),
    ],
)
@pytest.mark.parametrize("code", ["import nirbridge; nirbridge.read", "from nirbridge.ir import EventInput"])
def test_python_says_it_at_import(source: str, found: str, code: str, tmp_path: Path) -> None:
    last = _run(_nir(tmp_path, source), sys.executable, "-c", code).stderr.splitlines()[-1]
    assert last.startswith(f"nirbridge.errors.LibraryError: library 'nir': {found}")
    assert _HINT[:-1] in last


@pytest.mark.parametrize("source", ["version = '1.0.4'", _MISSING])
@pytest.mark.parametrize("command", [("show", "x.nir"), ("runtimes",)])
def test_the_command_line_exits_with_two(source: str, command: tuple[str, ...], tmp_path: Path) -> None:
    code = "import sys; from nirbridge.cli import main; main(sys.argv[1:])"
    done = _run(_nir(tmp_path, source), sys.executable, "-c", code, *command)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("Error: library 'nir': is ")
    assert _HINT[:-1] in done.stderr


def test_newer_ones_pass(tmp_path: Path) -> None:
    assert _run(_nir(tmp_path, _NEWER), sys.executable, "-c", "import nirbridge.needed_nir").returncode == 0


def test_an_import_error_is_what_it_is(tmp_path: Path) -> None:
    code = "try:\n    import nirbridge.ir\nexcept ImportError as error:\n    print(type(error).__name__)"
    assert _run(_nir(tmp_path, _MISSING), sys.executable, "-c", code).stdout == "LibraryError\n"
